import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { ask } from "../api/client.ts";
import type { Schema } from "../api/types.ts";
import { goTo, useAddress } from "../location.ts";
import type { Session } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Failure } from "../ui/Failure.tsx";
import { Message } from "../ui/Message.tsx";
import { Page } from "../ui/Page.tsx";
import { Waiting } from "./Facts.tsx";
import { Result } from "./Result.tsx";
import { Sentence } from "./Sentence.tsx";
import { type Question, rangeInWords, readQuestion, writeQuestion } from "./question.ts";
import { missingPart, toRequest } from "./request.ts";
import { useAnswer } from "./useAnswer.ts";
import { vocabulary } from "./vocabulary.ts";

/** One question, edited as a sentence, answered as a chart and a table. */
export default function ExplorePage({ session, onDisconnect }: { session: Session; onDisconnect: () => void }) {
  const address = useAddress();
  const question = useMemo(() => readQuestion(address.slice(address.indexOf("?") + 1)), [address]);
  const schema = useQuery({ queryKey: ["schema", session.app], queryFn: ({ signal }) => ask<Schema>(session, "schema", undefined, signal), staleTime: 60_000 });
  const words = useMemo(() => vocabulary(schema.data), [schema.data]);
  const missing = missingPart(question);
  const asked = useAnswer(session, missing === null ? JSON.stringify(toRequest(question, words.typesOf)) : null);
  const set = (changed: Question) => {
    goTo(`/explore${writeQuestion(changed)}`);
  };
  const { answer, error } = asked;
  return (
    <Page title="Explore" about={rangeInWords(question.range)}>
      <Sentence question={question} words={words} onChange={set} />
      {missing !== null && (
        <Message title="One part is missing">
          <p className="quiet">{missing}</p>
        </Message>
      )}
      {error !== null && missing === null && <Failure error={error} onRetry={asked.retry} onDisconnect={onDisconnect} />}
      {answer === undefined && error === null && missing === null && (
        <div className="panel chart-panel" aria-busy="true" aria-label="Loading">
          <Bone height={20} width="20%" />
          <Bone height={340} />
          <Waiting onCancel={asked.cancel} />
        </div>
      )}
      {answer !== undefined && error === null && missing === null && (
        <Result
          question={question}
          asked={asked}
          answer={answer}
          onChart={(chart) => {
            set({ ...question, chart });
          }}
        />
      )}
    </Page>
  );
}
