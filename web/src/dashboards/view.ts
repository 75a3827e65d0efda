import { type Condition, type TypesOf, filtersOf, isFinished, readConditions, writeConditions } from "../builder/conditions.ts";
import { rangeRequest, readRange } from "../builder/range.ts";

/** What the page shows; all of it is in the address. */
export interface View {
  /** Null for the list. */
  id: string | null;
  /** In place of the dashboard's own; empty for that. */
  range: string;
  /** In place of the dashboard's own; null for those. */
  conditions: Condition[] | null;
  edit: boolean;
  /** Nothing but tiles. */
  wall: boolean;
}

export const LIST: View = { id: null, range: "", conditions: null, edit: false, wall: false };

export function readView(search: string): View {
  const parameters = new URLSearchParams(search);
  return {
    id: parameters.get("id"),
    range: readRange(parameters, ""),
    conditions: parameters.has("where") ? readConditions(parameters) : null,
    edit: parameters.get("edit") === "1",
    wall: parameters.get("wall") === "1",
  };
}

/** Whether an address is of a dashboard without anything around it. */
export function isWall(path: string, search: string): boolean {
  return path === "/dashboards" && new URLSearchParams(search).get("wall") === "1";
}

/** The inverse of `readView`. */
export function writeView({ id, range, conditions, edit, wall }: View): string {
  if (id === null) return "/dashboards";
  const parameters = new URLSearchParams({ id });
  if (range !== "") parameters.set("range", range);
  // None at all is something else than those of the dashboard.
  if (conditions?.length === 0) parameters.set("where", "");
  writeConditions(parameters, conditions ?? []);
  if (edit) parameters.set("edit", "1");
  if (wall) parameters.set("wall", "1");
  return `/dashboards?${parameters.toString()}`;
}

/** What the stream is asked beside the dashboard; nothing where that says all. */
export function streamQuery({ range, conditions }: View, typesOf: TypesOf): string {
  const parameters = new URLSearchParams(range === "" ? {} : { ...rangeRequest(range) });
  if (conditions !== null) parameters.set("filters", JSON.stringify(filtersOf(conditions, typesOf)));
  return parameters.toString();
}

/** The page of a tile's question, about the range and the filters that hold on the dashboard. */
export function openedLink(link: string, range: string, conditions: readonly Condition[]): string {
  const [path = "/", search = ""] = link.split("?", 2);
  if (path === "/sql") return link;
  const parameters = new URLSearchParams(search);
  if (range !== "") parameters.set("range", range);
  writeConditions(parameters, conditions.filter(isFinished));
  return `${path}?${parameters.toString()}`;
}
