import { useMemo } from "react";

import type { QueryAnswer } from "../api/types.ts";
import { Answered } from "../builder/Answered.tsx";
import { RequestDisclosure } from "../builder/RequestDisclosure.tsx";
import { rangeInWords } from "../builder/range.ts";
import { useAnswer } from "../builder/useAnswer.ts";
import { useVocabulary } from "../builder/useVocabulary.ts";
import { requestOnceKnown } from "../builder/vocabulary.ts";
import { AddToBoard } from "../dashboards/AddToBoard.tsx";
import { exploreTile } from "../dashboards/pageTiles.ts";
import { goTo, useSearch } from "../location.ts";
import type { PageProps } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Page } from "../ui/Page.tsx";
import { Result } from "./Result.tsx";
import { Sentence } from "./Sentence.tsx";
import { type Question, readQuestion, writeQuestion } from "./question.ts";
import { missingPart, toRequest } from "./request.ts";

function Bones() {
  return (
    <>
      <Bone height={20} width="20%" />
      <Bone height={340} />
    </>
  );
}

/** One question, edited as a sentence, answered as a chart and a table. */
export default function ExplorePage({ session, onDisconnect }: PageProps) {
  const search = useSearch();
  const question = useMemo(() => readQuestion(search), [search]);
  const words = useVocabulary(session);
  const missing = missingPart(question);
  const request = missing === null ? requestOnceKnown(words, (typesOf) => toRequest(question, typesOf)) : null;
  const asked = useAnswer<QueryAnswer>(session, "query", request);
  const set = (changed: Question) => {
    goTo(`/explore${writeQuestion(changed)}`);
  };
  return (
    <Page title="Explore" about={rangeInWords(question.range)} end={<AddToBoard session={session} draft={request === null ? null : exploreTile(question, JSON.parse(request) as Record<string, unknown>)} />}>
      <Sentence question={question} words={words} onChange={set} />
      <Answered asked={asked} missing={missing} bones={<Bones />} onDisconnect={onDisconnect}>
        {(answer) => (
          <Result
            question={question}
            asked={asked}
            answer={answer}
            request={request !== null && <RequestDisclosure session={session} call="query" request={request} />}
            onChart={(chart) => {
              set({ ...question, chart });
            }}
          />
        )}
      </Answered>
    </Page>
  );
}
