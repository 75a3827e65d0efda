import type { FeedWorld } from "./feed.ts";

/** A server that answers as told, and a clock that moves as told. */
export class TestWorld implements FeedWorld {
  clock = 0;
  opened: string[] = [];
  hungUp = 0;
  private timers = new Map<number, { at: number; run: () => void }>();
  private nextTimer = 1;
  private sink: ReadableStreamDefaultController<Uint8Array> | null = null;
  status = 200;

  open = (query: string, signal: AbortSignal): Promise<Response> => {
    this.opened.push(query);
    if (this.status === 0) return Promise.reject(new TypeError("network"));
    if (this.status !== 200) {
      return Promise.resolve(new Response(JSON.stringify({ error: { code: "no", message: "refused" } }), { status: this.status }));
    }
    const body = new ReadableStream<Uint8Array>({
      start: (sink) => {
        this.sink = sink;
        signal.addEventListener("abort", () => {
          this.hungUp += 1;
          sink.error(new DOMException("aborted", "AbortError"));
        });
      },
    });
    return Promise.resolve(new Response(body));
  };
  now = () => this.clock;
  random = () => 1;
  setTimer = (run: () => void, ms: number) => {
    this.timers.set(this.nextTimer, { at: this.clock + ms, run });
    return this.nextTimer++;
  };
  clearTimer = (timer: number) => {
    this.timers.delete(timer);
  };

  async send(text: string): Promise<void> {
    this.sink?.enqueue(new TextEncoder().encode(text));
    await settle();
  }

  async end(): Promise<void> {
    this.sink?.close();
    await settle();
  }

  async pass(ms: number): Promise<void> {
    this.clock += ms;
    for (const [timer, { at, run }] of [...this.timers]) {
      if (at > this.clock) continue;
      this.timers.delete(timer);
      run();
    }
    await settle();
  }
}

export const settle = () => new Promise((resolve) => setTimeout(resolve, 5));
