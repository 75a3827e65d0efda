import { named } from "../builder/named.ts";
import { isPicked, subjectInWords } from "../builder/subject.ts";
import { MEASURES, type Question, writeQuestion } from "../explore/question.ts";
import { type Funnel, writeFunnel } from "../funnels/funnel.ts";
import { type LifecycleQuestion, writeLifecycle } from "../lifecycle/question.ts";
import { type PathsQuestion, writePaths } from "../paths/question.ts";
import { type Retention, writeRetention } from "../retention/retention.ts";
import { MEASURES as SESSION_MEASURES, type SessionsQuestion, writeSessions } from "../sessions/question.ts";
import { type Statement, writeStatement } from "../sql/statement.ts";
import { MAX_TITLE, type Tile } from "./board.ts";

/** A tile before it has a place: what it asks, how it is drawn, how large it is, and where it can be edited. */
export type TileDraft = Pick<Tile, "title" | "call" | "request" | "view" | "link" | "w" | "h">;

type Request = Record<string, unknown>;

const SMALL = { w: 3, h: 2 };
const MEDIUM = { w: 6, h: 4 };
const LARGE = { w: 12, h: 5 };

const cutTitle = (title: string) => (title.length <= MAX_TITLE ? title : `${title.slice(0, MAX_TITLE - 1)}…`);

/** The answer of Explore: a number, ranked names, or lines and bars. */
export function exploreTile(question: Question, request: Request): TileDraft {
  const { property, event, groupBy, interval, chart } = question;
  const measure = `${named(MEASURES, question.measure)}${property === "" ? "" : ` of ${property}`}`;
  const title = cutTitle(`${measure}${event === "" ? "" : `, ${event}`}${groupBy.length === 0 ? "" : ` by ${groupBy.join(" and ")}`}`);
  const link = `/explore${writeQuestion(question)}`;
  if (interval !== "") return { title, call: "query", request, view: chart === "bar" ? "bars" : "lines", link, ...MEDIUM };
  return groupBy.length === 0 ? { title, call: "query", request, view: "number", link, ...SMALL } : { title, call: "query", request, view: "ranked", link, w: 4, h: 4 };
}

export function funnelTile(funnel: Funnel, request: Request): TileDraft {
  const steps = funnel.steps.filter(isPicked);
  const [first, last] = [steps[0], steps.at(-1)];
  const title = first === undefined || last === undefined ? "Funnel" : cutTitle(`${subjectInWords(first)} → ${subjectInWords(last)}`);
  return { title, call: "funnel", request, link: `/funnels${writeFunnel({ ...funnel, shown: null })}`, w: 6, h: 5 };
}

export function retentionTile(retention: Retention, request: Request): TileDraft {
  return { title: cutTitle(`Retention after ${subjectInWords(retention.start)}`), call: "retention", request, link: `/retention${writeRetention({ ...retention, shown: null })}`, ...LARGE };
}

export function pathsTile(question: PathsQuestion, request: Request): TileDraft {
  const what = question.anchor === "start" ? "Paths after" : question.anchor === "end" ? "Paths before" : "Paths";
  return { title: cutTitle(`${what} ${question.event}`.trim()), call: "paths", request, link: `/paths${writePaths(question)}`, ...LARGE };
}

export function sessionsTile(question: SessionsQuestion, request: Request): TileDraft {
  const link = `/sessions${writeSessions(question)}`;
  if (question.side === "active") return { title: "Active users", call: "active_users", request, link, ...MEDIUM };
  return { title: cutTitle(named(SESSION_MEASURES, question.measure)), call: "sessions", request, view: question.measure, link, ...MEDIUM };
}

export function lifecycleTile(question: LifecycleQuestion, request: Request): TileDraft {
  const { side } = question;
  return { title: side === "lifecycle" ? "Lifecycle" : "Stickiness", call: side, request, link: `/lifecycle${writeLifecycle(question)}`, ...MEDIUM };
}

export function sqlTile(statement: Statement): TileDraft {
  return { title: "SQL", call: "sql", request: { sql: statement.sql }, view: statement.view, link: `/sql${writeStatement(statement)}`, ...MEDIUM };
}
