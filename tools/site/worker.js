// Pages that were opened from the disk may not start workers: the search runs in a hidden frame instead.
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.body.appendChild(document.createElement("iframe"));
      this.frame.hidden = true;
      this.inside = this.frame.contentWindow;
      this.inside.document.open();
      this.inside.document.write("<body></body>");
      this.inside.document.close();
      this.inside.importScripts = async (...urls) => {
        for (const one of urls) await this.load(one);
      };
      this.inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.started = this.load(url);
    }

    load(url) {
      const script = this.inside.document.createElement("script");
      script.src = url;
      const loaded = new Promise((done, failed) => {
        script.onload = done;
        script.onerror = () => failed(new Error(`cannot load ${url}`));
      });
      this.inside.document.body.append(script);
      return loaded;
    }

    async postMessage(data) {
      await this.started;
      this.inside.dispatchEvent(new this.inside.MessageEvent("message", { data }));
    }

    terminate() {
      this.frame.remove();
    }
  };
