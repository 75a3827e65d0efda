/** What lies open beside a person. */
export type Beside = "cohorts" | "delete";

/** What the page shows, all of it in the address. */
export type View =
  | { show: "list"; search: string; shown: number }
  /** `from` is the page of this app that the person was found on; `event` the only event of the timeline, `shown` how many of them. */
  | { show: "person"; id: string; event: string | null; shown: number; beside: Beside | null; from: string | null }
  | { show: "deletion"; id: string };

/** Persons of a list: as many as it begins with, and as many as it goes to. */
export const LISTS = [50, 500, 1_000] as const;
/** Events of a person that are asked for at once. */
export const PAGE = 100;
/** Events that an address brings back at once; older ones are a click away. */
const MAX_SHOWN = 1_000;
const MAX_ADDRESS = 4_000;

/** Pages that lists of persons are on, with what the way back is called. */
const ORIGINS: Record<string, string> = { "/people": "the list", "/funnels": "the funnel", "/retention": "the retention", "/cohorts": "the cohort" };

const pathOf = (address: string) => address.split("?", 1)[0] ?? "";

/** An address that a person was found on; nothing of any other page, here or elsewhere. */
function originOf(address: string | null): string | null {
  return address !== null && address.length <= MAX_ADDRESS && Object.hasOwn(ORIGINS, pathOf(address)) ? address : null;
}

/** The way back, in words. */
export function originName(from: string): string {
  return ORIGINS[pathOf(from)] ?? "";
}

/** The query string of a funnel that the person was found in. */
export function funnelOf(from: string | null): string | null {
  return from !== null && pathOf(from) === "/funnels" ? from.slice("/funnels".length) : null;
}

function wholePages(text: string | null): number {
  const wanted = text !== null && /^\d{1,6}$/.test(text) ? Number(text) : PAGE;
  return Math.min(MAX_SHOWN, Math.max(PAGE, Math.ceil(wanted / PAGE) * PAGE));
}

export function readView(search: string): View {
  const parameters = new URLSearchParams(search);
  const [id, deletion] = [parameters.get("id"), parameters.get("deletion")];
  if (deletion !== null) return { show: "deletion", id: deletion };
  if (id === null || id === "") {
    const shown = LISTS.find((size) => String(size) === parameters.get("shown")) ?? LISTS[0];
    return { show: "list", search: parameters.get("search") ?? "", shown };
  }
  const beside = parameters.get("beside");
  return {
    show: "person",
    id,
    event: parameters.get("event"),
    shown: wholePages(parameters.get("shown")),
    beside: beside === "cohorts" || beside === "delete" ? beside : null,
    from: originOf(parameters.get("from")),
  };
}

/** The inverse of `readView`. */
export function writeView(view: View): string {
  const parameters = new URLSearchParams();
  if (view.show === "deletion") parameters.set("deletion", view.id);
  if (view.show === "list") {
    if (view.search !== "") parameters.set("search", view.search);
    if (view.shown !== LISTS[0]) parameters.set("shown", String(view.shown));
  }
  if (view.show === "person") {
    parameters.set("id", view.id);
    if (view.event !== null) parameters.set("event", view.event);
    if (view.shown > PAGE) parameters.set("shown", String(Math.min(view.shown, MAX_SHOWN)));
    if (view.beside !== null) parameters.set("beside", view.beside);
    if (view.from !== null) parameters.set("from", view.from);
  }
  const written = parameters.toString();
  return written === "" ? "" : `?${written}`;
}

/** The address of a person who is found on the page at `from`. */
export function personAddress(id: string, from: string): string {
  return `/people${writeView({ show: "person", id, event: null, shown: PAGE, beside: null, from: originOf(from) })}`;
}
