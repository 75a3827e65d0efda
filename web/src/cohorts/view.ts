import { parsed } from "../builder/conditions.ts";
import { ruleOf } from "./readRule.ts";
import type { GroupRule } from "./rule.ts";

/** What the page shows, all of it in the address; ids that are pasted into a list are not. */
export type View =
  | { show: "list" }
  | { show: "one"; id: string }
  /** Changes a cohort, or makes one where there is no id; `version` is that which the first change was made from. */
  | { show: "edit"; id: string | null; form: "rule" | "list"; name: string | null; rule: GroupRule | null; version: number | null };

/** What is shown before anything was changed. */
export const UNCHANGED = { name: null, rule: null, version: null } as const;

function readVersion(text: string | null): number | null {
  return text !== null && /^[1-9]\d{0,8}$/.test(text) ? Number(text) : null;
}

export function readView(search: string): View {
  const parameters = new URLSearchParams(search);
  const [fresh, edited, id] = [parameters.get("new"), parameters.get("edit"), parameters.get("id")];
  if (fresh !== null || edited !== null) {
    const rule = ruleOf(parsed(parameters.get("rule") ?? "null"));
    return { show: "edit", id: edited, form: fresh === "list" ? "list" : "rule", name: parameters.get("name"), rule: rule?.kind === "group" ? rule : null, version: readVersion(parameters.get("version")) };
  }
  return id === null ? { show: "list" } : { show: "one", id };
}

/** The inverse of `readView`. */
export function writeView(view: View): string {
  if (view.show === "list") return "";
  if (view.show === "one") return `?${new URLSearchParams({ id: view.id }).toString()}`;
  const parameters = new URLSearchParams(view.id === null ? { new: view.form } : { edit: view.id });
  if (view.name !== null) parameters.set("name", view.name);
  if (view.version !== null) parameters.set("version", String(view.version));
  if (view.rule !== null) parameters.set("rule", JSON.stringify(view.rule));
  return `?${parameters.toString()}`;
}

/** As many ids as the API takes. */
export const MAX_PERSONS = 10_000;

/** Ids out of a pasted text: one a line, or separated by commas; each once. */
export function personsIn(text: string): string[] {
  return [...new Set(text.split(/[\n\r,;\t]+/).map((id) => id.trim()).filter((id) => id !== ""))];
}
