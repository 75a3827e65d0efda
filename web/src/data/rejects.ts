import { jsonLines, parsed } from "./jsonText.ts";

/** A refused event as the server keeps it. */
export interface Refused {
  received_at: string;
  /** Position in its request, from 0. */
  index: number;
  code: string;
  message: string;
  /** The event as it came, cut where it is very long. */
  raw: string;
}

/** What to do about each code of the server, for whoever sends the events. */
export const ADVICE: Record<string, string> = {
  invalid_json: "Write the body with a JSON library: it is cut short, or text was joined by hand.",
  not_an_object: 'Send each event as an object with a name and an id, such as {"name": "page_view", "user_id": "U1"}.',
  invalid_type: "Send the field in the type that the message names: ids and names as strings, properties as an object.",
  missing_name: "Give each event a name of 1 to 255 characters in the field name.",
  name_too_long: "Shorten the name to 255 characters, and put what varies into properties.",
  missing_id: 'Send user_id or anonymous_id; for an event without a person, write "user_id": null.',
  invalid_id: "Send ids of 1 to 255 bytes, and an insert_id of at most 64; leave out an id that is empty.",
  placeholder_id: "Wait until the real id is known, or send null: a placeholder would make one person of everybody who has it.",
  invalid_timestamp: "Send the time as ISO 8601 with a zone, or as Unix seconds, milliseconds or microseconds.",
  too_old: "Check the unit and the clock of the timestamp; for real history, lengthen how long the app keeps raw events.",
  invalid_number: "Send numbers beyond 64 bits as strings, and null in place of NaN and infinity.",
  too_many_properties: "Send fewer properties, or group them in an object.",
  properties_too_large: "Send less in properties: an id or an address in place of whole texts and documents.",
  invalid_property_name: "Name each property with 1 to 255 bytes, and put what varies into its value.",
  invalid_text: "Encode the body as UTF-8, and cut texts between whole characters.",
};

export interface RefusedCode {
  code: string;
  /** In the range, by the ledger: every one, whether it is still kept or not. */
  events: number;
  /** Null for a code of a later version. */
  advice: string | null;
}

/** The codes of a range, most frequent first. */
export function refusedCodes(byCode: Record<string, number>): RefusedCode[] {
  const codes = Object.entries(byCode).filter(([, events]) => events > 0);
  return codes.map(([code, events]) => ({ code, events, advice: Object.hasOwn(ADVICE, code) ? (ADVICE[code] ?? null) : null })).sort((a, b) => b.events - a.events || (a.code < b.code ? -1 : 1));
}

/** The newest of one code that were received from `fromMs` on. */
export function examplesOf(refused: readonly Refused[], code: string, fromMs: number, limit: number): Refused[] {
  return refused.filter((one) => one.code === code && Date.parse(one.received_at) >= fromMs).slice(0, limit);
}

const FIELDS = ["name", "user_id", "anonymous_id", "insert_id", "session_id", "timestamp", "properties", "cookieless"];
const MAX_KEY_BYTES = 255;

/** The field that a message of the server begins with, or null. */
export function fieldOf(message: string): string | null {
  const field = /^[a-z_]+(?= (?:is|has|must) )/.exec(message)?.[0];
  return field !== undefined && FIELDS.includes(field) ? field : null;
}

/** A key of the properties that is empty or too long, by the line it begins. */
function hasWrongKey(line: string): boolean {
  const key = /^ {4}("(?:[^"\\]|\\.)*"): /.exec(line)?.[1];
  if (key === undefined) return false;
  const bytes = new TextEncoder().encode(String(parsed(key))).length;
  return bytes === 0 || bytes > MAX_KEY_BYTES;
}

/** A number that 64 bits do not hold, at the end of a line. */
function hasWrongNumber(line: string): boolean {
  const number = /(?:^ *|": )(-?\d[\d.eE+-]*),?$/.exec(line)?.[1];
  if (number === undefined) return false;
  if (!/^-?\d+$/.test(number)) return !Number.isFinite(Number(number));
  const whole = BigInt(number);
  return whole < -(2n ** 63n) || whole >= 2n ** 64n;
}

const hasWrongText = (line: string) => /\\u[dD][89a-fA-F]|\ufffd/.test(line);

function isAtFault({ code, message }: Refused): (line: string) => boolean {
  if (code === "invalid_property_name") return hasWrongKey;
  if (code === "invalid_number") return hasWrongNumber;
  if (code === "invalid_text") return hasWrongText;
  const field = fieldOf(message);
  return (line) => field !== null && line.startsWith(`  "${field}": `);
}

export interface ShownLine {
  text: string;
  atFault: boolean;
}

/** A refused event as lines with the field at fault marked; what is no JSON stays as it came. */
export function shownLines(refused: Refused): ShownLine[] {
  const atFault = isAtFault(refused);
  const lines = jsonLines(refused.raw);
  return lines === null ? [{ text: refused.raw, atFault: false }] : lines.map((text) => ({ text, atFault: atFault(text) }));
}

/**
 * The event to be corrected and sent again, as JSON in lines, or null where there is none to correct. An event without a time gets that of
 * its receipt: it would count at the time of the second sending otherwise.
 */
export function eventToCorrect({ raw, received_at }: Pick<Refused, "raw" | "received_at">): string | null {
  const event = parsed(raw);
  if (typeof event !== "object" || event === null || Array.isArray(event)) return null;
  // A cookieless event is known by the address it came from, which whoever runs the command does not have.
  if ("cookieless" in event && event.cookieless === true) return null;
  const fields = raw.trim().slice(1);
  const timed = "timestamp" in event ? raw.trim() : `{"timestamp": ${JSON.stringify(received_at)}${Object.keys(event).length === 0 ? "" : ","}${fields}`;
  return jsonLines(timed)?.join("\n") ?? null;
}
