import { ANY_EVENT, NEW_SUBJECT } from "../builder/subject.ts";
import { type Question, START as EXPLORE } from "../explore/question.ts";
import { toRequest as exploreRequest } from "../explore/request.ts";
import { readFunnel } from "../funnels/funnel.ts";
import { toRequest as funnelRequest } from "../funnels/request.ts";
import { START as LIFECYCLE, lifecycleRequest } from "../lifecycle/question.ts";
import { START as RETENTION } from "../retention/retention.ts";
import { toRequest as retentionRequest } from "../retention/request.ts";
import { START as SESSIONS } from "../sessions/question.ts";
import { activeUsersRequest, sessionsRequest } from "../sessions/request.ts";
import type { BoardContent, Tile } from "./board.ts";
import { added } from "./layout.ts";
import { type TileDraft, exploreTile, funnelTile, lifecycleTile, retentionTile, sessionsTile } from "./pageTiles.ts";

/** A dashboard to begin with. */
export interface Template {
  name: string;
  about: string;
  content: BoardContent;
}

/** Templates have no conditions on properties, whose types would matter. */
const typesOf = () => [];

function explore(title: string, question: Partial<Question>, size: Partial<TileDraft> = {}): TileDraft {
  const whole = { ...EXPLORE, interval: "", ...question };
  return { ...exploreTile(whole, exploreRequest(whole, typesOf)), title, ...size };
}

function sessions(title: string, measure: string): TileDraft {
  const question = { ...SESSIONS, measure };
  return { ...sessionsTile(question, sessionsRequest(question, typesOf)), title };
}

function active(): TileDraft {
  const question = { ...SESSIONS, side: "active" as const };
  return sessionsTile(question, activeUsersRequest(question, typesOf));
}

function lifecycle(side: "lifecycle" | "stickiness"): TileDraft {
  const question = { ...LIFECYCLE, side };
  return lifecycleTile(question, lifecycleRequest(question, typesOf));
}

function retention(): TileDraft {
  const question = { ...RETENTION, start: { ...NEW_SUBJECT, events: [ANY_EVENT] } };
  return { ...retentionTile(question, retentionRequest(question, typesOf)), title: "Who comes back", w: 6 };
}

function funnel(title: string, steps: readonly string[]): TileDraft {
  const question = readFunnel(`?${steps.map((step) => `step=${encodeURIComponent(step)}`).join("&")}`);
  return { ...funnelTile(question, funnelRequest(question, typesOf)), title };
}

function board(name: string, drafts: readonly TileDraft[]): BoardContent {
  const tiles = drafts.reduce<Tile[]>((placed, draft) => added(placed, { x: 0, y: 0, ...draft }), []);
  return { name, range: "30d", tiles };
}

const VIEWS = { event: "page_view" };
const BOUGHT = { event: "purchase" };
const DAILY = { interval: "day" };

export const TEMPLATES: readonly Template[] = [
  { name: "Empty", about: "Tiles come from any page, with “Add to dashboard”.", content: { name: "", tiles: [] } },
  {
    name: "Web overview",
    about: "Visitors, sessions, pages and where they come from; from page_view.",
    content: board("Web overview", [
      explore("Visitors", { ...VIEWS, compare: true }),
      explore("Page views", { ...VIEWS, measure: "events", compare: true }),
      explore("Sessions", { measure: "sessions", compare: true }),
      explore("Views a visitor", { ...VIEWS, measure: "events_per_user", compare: true }),
      explore("Visitors a day", { ...VIEWS, ...DAILY, compare: true }, { w: 8 }),
      explore("Countries", { ...VIEWS, groupBy: ["country"] }),
      explore("Pages", { ...VIEWS, measure: "events", groupBy: ["url"] }),
      explore("Referrers", { ...VIEWS, groupBy: ["referrer"] }),
      explore("Devices", { ...VIEWS, groupBy: ["device_type"] }),
      sessions("Bounce rate", "bounce_rate"),
      sessions("Median length of a session", "median_length_ms"),
    ]),
  },
  {
    name: "Product",
    about: "Who is active, who comes back, and what they do.",
    content: board("Product", [
      explore("Active persons", { compare: true }),
      explore("Events", { measure: "events", compare: true }),
      explore("Events a person", { measure: "events_per_user", compare: true }),
      explore("Sessions", { measure: "sessions", compare: true }),
      active(),
      lifecycle("lifecycle"),
      retention(),
      explore("What they do", { measure: "events", groupBy: ["event"] }, { w: 6, h: 5 }),
      lifecycle("stickiness"),
    ]),
  },
  {
    name: "Shop",
    about: "Sales and the way to them; from page_view, add_to_cart and purchase with a price.",
    content: board("Shop", [
      explore("Revenue", { ...BOUGHT, measure: "sum", property: "price", compare: true }),
      explore("Purchases", { ...BOUGHT, measure: "events", compare: true }),
      explore("Buyers", { ...BOUGHT, compare: true }),
      explore("Average price", { ...BOUGHT, measure: "avg", property: "price", compare: true }),
      funnel("From visit to purchase", ["page_view", "add_to_cart", "purchase"]),
      explore("Revenue a day", { ...BOUGHT, ...DAILY, measure: "sum", property: "price", chart: "bar" }, { h: 5 }),
      explore("Revenue by country", { ...BOUGHT, measure: "sum", property: "price", groupBy: ["country"] }),
      explore("Buyers by device", { ...BOUGHT, groupBy: ["device_type"] }),
      explore("Visitors by referrer", { ...VIEWS, groupBy: ["referrer"] }),
    ]),
  },
];
