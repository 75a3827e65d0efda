import { Button } from "@mantine/core";
import type { ReactNode } from "react";

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

/** One question's states: unfinished, failed, on its way, stopped, answered. The answer before stays, paler, while the next comes. */
export function Answered<T>({ asked, missing, bones, onDisconnect, children }: AnsweredProps<T>) {
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
          {children(answer)}
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
