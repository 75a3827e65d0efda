import { type ApiError, asApiError, errorOf } from "./client.ts";
import { type ServerEvent, takeEvents } from "./sse.ts";

/** First pause before connecting again; it doubles with each failure. */
export const FIRST_RETRY_MS = 500;
export const MAX_RETRY_MS = 15_000;
/** The server sends a heartbeat every 15 s; a stream that is silent for longer than two is dead, whatever the socket says. */
export const SILENCE_MS = 35_000;

/** What a page knows of any stream. `heardAt` is when the server was last heard, in the browser's clock. */
export interface FeedState {
  heardAt: number | null;
  /** `connecting` before the first answer, `stale` while the connection is gone, `refused` when the key was, `ended` when there is nothing to follow any more. */
  phase: "connecting" | "live" | "stale" | "refused" | "ended";
  error: ApiError | null;
}

/** What the feed takes from its surroundings, so that tests decide what time it is. */
export interface FeedWorld {
  open: (query: string, signal: AbortSignal) => Promise<Response>;
  now: () => number;
  random: () => number;
  setTimer: (run: () => void, ms: number) => number;
  clearTimer: (timer: number) => void;
}

/** Half to all of the doubled pause: clients that lost one server do not come back in one moment. */
export function retryPause(failures: number, random: number, retryAfterMs = 0): number {
  const longest = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** failures);
  return Math.max(retryAfterMs, longest * (0.5 + random / 2));
}

/** Follows a stream: connects again by itself, and only while it is resumed. */
export abstract class Feed<S extends FeedState> {
  private readonly listeners = new Set<() => void>();
  private controller: AbortController | null = null;
  private retryTimer: number | null = null;
  private silenceTimer: number | null = null;
  private failures = 0;

  constructor(
    private readonly world: FeedWorld,
    private query: string,
    private state: S,
  ) {}

  /** The state with what came; the phase is the feed's own. */
  protected abstract received(state: S, events: readonly ServerEvent[]): S;

  /** The state of another question, before its first answer. */
  protected asking(state: S): S {
    return state;
  }

  /** False before the first answer. */
  protected abstract isKnown(state: S): boolean;

  /** The newest state; the same object until something changes. */
  readonly snapshot = (): S => this.state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Asks another question from now on; the last state stays until its answer comes. */
  askFor(query: string): void {
    if (query === this.query) return;
    this.query = query;
    const ended = this.state.phase === "ended";
    this.set({ ...this.asking(this.state), ...(ended && { phase: "connecting", error: null }) });
    if (this.controller === null && !ended) return;
    this.pause();
    this.resume();
  }

  /** Connects, unless it is connected or on its way; at once, also in the middle of a pause. */
  resume(): void {
    if (this.controller !== null || this.isOver) return;
    this.stopTimers();
    const controller = new AbortController();
    this.controller = controller;
    void this.follow(controller);
  }

  /** Hangs up; the last state stays, as stale. */
  pause(): void {
    this.stopTimers();
    this.controller?.abort();
    this.controller = null;
    if (this.state.phase === "live") this.set({ ...this.state, phase: "stale" });
  }

  private get isOver(): boolean {
    return this.state.phase === "refused" || this.state.phase === "ended";
  }

  private async follow(controller: AbortController): Promise<void> {
    const error = await this.read(controller).then(
      () => null,
      (reason: unknown) => asApiError(reason),
    );
    if (this.controller !== controller) return;
    this.controller = null;
    this.stopTimers();
    if (this.isOver) return;
    if (error?.refused === true) {
      this.set({ ...this.state, phase: "refused", error });
      return;
    }
    // Asking the same again would be answered the same.
    if (error?.status === 400 || error?.status === 404) {
      this.set({ ...this.state, phase: "ended", error });
      return;
    }
    this.set({ ...this.state, phase: this.isKnown(this.state) ? "stale" : "connecting", error });
    this.retryTimer = this.world.setTimer(() => {
      this.resume();
    }, retryPause(this.failures, this.world.random(), error?.retryAfterMs));
    this.failures += 1;
  }

  private async read(controller: AbortController): Promise<void> {
    this.watchSilence(controller);
    const response = await this.world.open(this.query, controller.signal);
    if (!response.ok || response.body === null) throw await errorOf(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let buffer = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.controller !== controller) return;
      this.watchSilence(controller);
      const { events, rest } = takeEvents(buffer + value);
      buffer = rest;
      if (events.length > 0) this.receive(events);
    }
  }

  private receive(events: readonly ServerEvent[]): void {
    this.failures = 0;
    this.set(this.received({ ...this.state, heardAt: this.world.now(), phase: "live", error: null }, events));
  }

  private watchSilence(controller: AbortController): void {
    if (this.silenceTimer !== null) this.world.clearTimer(this.silenceTimer);
    this.silenceTimer = this.world.setTimer(() => {
      controller.abort();
    }, SILENCE_MS);
  }

  private stopTimers(): void {
    for (const timer of [this.retryTimer, this.silenceTimer]) if (timer !== null) this.world.clearTimer(timer);
    this.retryTimer = null;
    this.silenceTimer = null;
  }

  private set(state: S): void {
    this.state = state;
    for (const listener of this.listeners) listener();
  }
}
