// The page: its language, its chapters, and the trainer. What stands in window.sfumatoLesson can be tried in the
// browser's console, for example sfumatoLesson.checkGradients() or sfumatoLesson.trainer.gaussians.
import { chooseLanguage, startChapters } from "./chapters.js";
import { checkGradients } from "./check.js";
import { explain } from "./explain.js";
import { paintOpening } from "./opening.js";
import { startTrainer } from "./panel.js";
import { quality, trainStep } from "./trainer.js";
import { language } from "./words.js";

startChapters();
const trainer = startTrainer();
// Afterwards, as it takes a moment.
setTimeout(() => paintOpening(document.getElementById("opening-picture")));
window.sfumatoLesson = {
  trainer, checkGradients, chooseLanguage, explain, language, quality: () => quality(trainer), trainStep: () => trainStep(trainer),
};
