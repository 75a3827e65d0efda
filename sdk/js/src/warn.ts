/** Tells a developer something, once for each `code`. */
export type Warn = (code: string, message: string) => void;

export function warnOnce(): Warn {
  const told = new Set<string>();
  return (code, message) => {
    if (told.has(code)) return;
    told.add(code);
    console.warn(`Throng: ${message}`);
  };
}
