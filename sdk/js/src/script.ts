import { alias, flush, identify, init, optIn, optOut, page, reset, stats, track, type Options } from "./index.js";

/** `window.throng` as the snippet leaves it: calls that came before this script. */
interface Waiting {
  q?: [name: string, args: ArrayLike<unknown>][];
}

const { currentScript } = document;
// Events go where the script came from, unless told otherwise.
const url = currentScript && "src" in currentScript ? new URL(currentScript.src).origin : "";
const methods = { alias, flush, identify, init: (options: Options) => init({ url, ...options }), optIn, optOut, page, reset, stats, track };

const target = window as Window & { throng?: Waiting };
const waiting = (target.throng ??= {});
Object.assign(waiting, methods);
for (const [name, args] of waiting.q ?? []) {
  // As the page called it: what it gave is checked where it is used.
  (methods as unknown as Record<string, (...args: unknown[]) => void>)[name]?.(...Array.from(args));
}
delete waiting.q;
