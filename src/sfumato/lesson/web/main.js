// The page: its language, its chapters, and the trainer.
import { chooseLanguage, startChapters } from "./chapters.js";
import { language } from "./words.js";

startChapters();
window.sfumatoLesson = { chooseLanguage, language };
