import { Fragment } from "react";

import { sendCommand } from "../builder/curl.ts";
import { momentLabel } from "../charts/time.ts";
import { fullNumber } from "../format.ts";
import { ChevronIcon } from "../ui/icons.tsx";
import { Message } from "../ui/Message.tsx";
import { Snippet } from "../ui/Snippet.tsx";
import { type LedgerAnswer, partOf } from "./ledger.ts";
import { type Refused, type RefusedCode, eventToCorrect, examplesOf, refusedCodes, shownLines } from "./rejects.ts";
import { wallClock } from "./wallClock.ts";

/** Refused events that are read for their examples. */
export const NEWEST_REFUSED = 200;
const EXAMPLES = 5;

/** The way to send a corrected event, where there is one. */
function Again({ refused }: { refused: Refused }) {
  const event = eventToCorrect(refused);
  if (event === null) {
    return <p className="small quiet">What is kept of this one cannot be corrected by hand and sent again: mend the sender.</p>;
  }
  return (
    <details className="disclosure small">
      <summary>Send it again, corrected</summary>
      <p className="quiet">
        Mend the sender first. Then correct the event in this command, put the app&rsquo;s write key in, and run it: it is sent as a new event. With <code>/validate</code> in place of{" "}
        <code>/batch</code> it is only checked.
      </p>
      <Snippet text={sendCommand(window.location.origin, `\n${event}\n`)} label="A command that sends the event, to be corrected" />
    </details>
  );
}

function Example({ refused, zone }: { refused: Refused; zone: string }) {
  const { received_at, index, message } = refused;
  return (
    <li>
      <p className="data-reason">{message}</p>
      <p className="small quiet tabular">
        Received {momentLabel(wallClock(zone)(Date.parse(received_at)))} {zone}, event {fullNumber(index + 1)} of its request
      </p>
      {/* A region that scrolls must be reachable by keyboard. */}
      {/* eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex */}
      <pre className="data-raw" tabIndex={0} aria-label="The event as it came">
        {shownLines(refused).map(({ text, atFault }, at) => (
          <Fragment key={at}>
            {atFault ? text.slice(0, text.length - text.trimStart().length) : text}
            {atFault && <mark>{text.trimStart()}</mark>}
            {"\n"}
          </Fragment>
        ))}
      </pre>
      <Again refused={refused} />
    </li>
  );
}

interface CodeProps {
  code: RefusedCode;
  total: number;
  examples: Refused[];
  zone: string;
  isOpen: boolean;
  onToggle: () => void;
}

function Code({ code: { code, events, advice }, total, examples, zone, isOpen, onToggle }: CodeProps) {
  return (
    <li className="data-code">
      <button type="button" aria-expanded={isOpen} onClick={onToggle}>
        <ChevronIcon />
        <code className="cut">{code}</code>
        <span className="tabular">
          {fullNumber(events)} <span className="small quiet">{partOf(events, total)}</span>
        </span>
      </button>
      <p className="quiet">{advice ?? "The examples say what the server refused."}</p>
      {isOpen && examples.length === 0 && (
        <p className="small quiet data-examples">
          None of the newest {NEWEST_REFUSED} refused events has this code. <code>/rejected?limit=1000</code> reads further back; they are kept for 30 days.
        </p>
      )}
      {isOpen && examples.length > 0 && (
        <ul className="data-examples" aria-label={`Examples of ${code}, newest first`}>
          {examples.map((refused) => (
            <Example key={`${refused.received_at} ${refused.index} ${refused.raw}`} refused={refused} zone={zone} />
          ))}
        </ul>
      )}
    </li>
  );
}

interface RejectedListProps {
  ledger: LedgerAnswer;
  refused: readonly Refused[];
  zone: string;
  open: string;
  onOpen: (code: string) => void;
}

/** Refused events by code, what to do about each, and the newest as they came. */
export function RejectedList({ ledger, refused, zone, open, onOpen }: RejectedListProps) {
  const codes = refusedCodes(ledger.totals.rejected_by_code);
  if (codes.length === 0) {
    return (
      <Message title="Nothing was rejected">
        <p className="quiet">{ledger.totals.received === 0 ? "Nothing was received in this range either." : "Every event of this range was well formed."}</p>
      </Message>
    );
  }
  return (
    <section className="panel data-list" aria-label="Rejected">
      <ul className="data-codes">
        {codes.map((code) => (
          <Code
            key={code.code}
            code={code}
            total={ledger.totals.rejected}
            examples={examplesOf(refused, code.code, Date.parse(ledger.from), EXAMPLES)}
            zone={zone}
            isOpen={open === code.code}
            onToggle={() => {
              onOpen(open === code.code ? "" : code.code);
            }}
          />
        ))}
      </ul>
      <p className="data-foot small quiet">Counts are of all refused events of the range, by time of receipt. Each was told to its sender at once, with the same code and message. They cannot be replayed from here.</p>
    </section>
  );
}
