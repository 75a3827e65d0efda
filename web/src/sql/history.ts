/** As many statements are remembered. */
export const MAX_REMEMBERED = 20;
const PREFIX = "throng.sql.";

/** The list with a statement in front; the same statement stands in it once. */
export function withStatement(statements: readonly string[], sql: string): string[] {
  return [sql, ...statements.filter((other) => other !== sql)].slice(0, MAX_REMEMBERED);
}

/** What was stored, or nothing where it is not what we store. */
export function readStatements(stored: string | null): string[] {
  try {
    const value: unknown = JSON.parse(stored ?? "[]");
    return Array.isArray(value) ? value.filter((sql) => typeof sql === "string").slice(0, MAX_REMEMBERED) : [];
  } catch {
    return [];
  }
}

/** Statements of an app that were run in this browser, newest first. */
export function rememberedStatements(app: string): string[] {
  try {
    return readStatements(localStorage.getItem(PREFIX + app));
  } catch {
    // The browser keeps nothing for this page.
    return [];
  }
}

/** The list with a statement in front, kept as far as the browser has room for it. */
export function rememberStatement(app: string, sql: string): string[] {
  const statements = withStatement(rememberedStatements(app), sql);
  try {
    localStorage.setItem(PREFIX + app, JSON.stringify(statements));
  } catch {
    // Full, or nothing is kept: the statement runs all the same.
  }
  return statements;
}

export function forgetStatements(app: string): void {
  try {
    localStorage.removeItem(PREFIX + app);
  } catch {
    // Then nothing was kept.
  }
}
