// The conversation with the server: messages out, news in, and coming back after a break.

const AGAIN_MS = 1500;

export class Link {
  // hear(news) gets every message; changed(state) is told "open", "lost" or "ended".
  constructor(hear, changed) {
    this.hear = hear;
    this.changed = changed;
    this.socket = null;
    this.who = null;
    this.isOver = false;
  }

  enter(reader, reading) {
    this.who = { reader, reading };
    this.isOver = false;
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/talk`);
    this.socket = socket;
    socket.onopen = () => socket.send(JSON.stringify(this.who));
    socket.onmessage = (event) => {
      const news = JSON.parse(event.data);
      if ("refused" in news || "ended" in news) this.isOver = true;
      if ("welcome" in news) this.changed("open");
      this.hear(news);
    };
    socket.onclose = () => {
      if (this.socket !== socket || this.isOver) return;
      this.changed("lost");
      setTimeout(() => this.connect(), AGAIN_MS);
    };
  }

  // False where nobody hears it: then the page says so, and nothing is lost silently.
  tell(command, values = {}) {
    if (this.socket === null || this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify({ do: command, ...values }));
    return true;
  }
}
