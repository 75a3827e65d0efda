import { Button } from "@mantine/core";
import type { ReactNode } from "react";

import type { Hint } from "../api/types.ts";
import { Failure } from "../ui/Failure.tsx";
import { Message } from "../ui/Message.tsx";
import { Waiting } from "./Facts.tsx";
import type { Asked } from "./useAnswer.ts";

interface AnsweredProps<T> {
  asked: Asked<T>;
  /** What is still missing before it can be asked, in words. */
  missing: string | null;
  /** The shape of the result while the first answer is on its way. */
  bones: ReactNode;
  onDisconnect: () => void;
  children: (answer: T) => ReactNode;
}

/** One question's states: unfinished, failed, on its way, stopped, answered. The answer before stays, paler and not to be clicked, while the next comes. */
export function Answered<T extends object>({ asked, missing, bones, onDisconnect, children }: AnsweredProps<T>) {
  const { answer, error } = asked;
  if (missing !== null) {
    return (
      <Message title="One part is missing">
        <p className="quiet">{missing}</p>
      </Message>
    );
  }
  if (error !== null) return <Failure error={error} onRetry={asked.retry} onDisconnect={onDisconnect} />;
  if (answer !== undefined) {
    return (
      <>
        {asked.stopped && <Stopped onAsk={asked.retry} />}
        <div className="result" data-stale={asked.stale} aria-busy={asked.asking}>
          {/* Beside what cannot be clicked: one can stop the question all the while. */}
          {asked.asking && <Waiting onCancel={asked.cancel} />}
          <div className="result-parts" inert={asked.stale}>
            {"hints" in answer && <Hints hints={answer.hints as Hint[]} />}
            {children(answer)}
          </div>
        </div>
      </>
    );
  }
  if (asked.stopped) return <Stopped onAsk={asked.retry} />;
  return (
    <div className="panel chart-panel" aria-busy="true" aria-label="Loading" role="status">
      {bones}
      <Waiting onCancel={asked.cancel} />
    </div>
  );
}

/** Texts, as they come from whoever named the events. */
function Hints({ hints }: { hints: Hint[] }) {
  return (
    <ul className="panel hints" aria-label="Names that are not known">
      {hints.map(({ message }) => (
        <li key={message}>{message.charAt(0).toUpperCase() + message.slice(1)}</li>
      ))}
    </ul>
  );
}

function Stopped({ onAsk }: { onAsk: () => void }) {
  return (
    <Message title="Stopped">
      <p className="quiet">This question has no answer yet. A shorter range or fewer groups answer sooner.</p>
      <Button variant="default" size="xs" onClick={onAsk}>
        Ask again
      </Button>
    </Message>
  );
}
