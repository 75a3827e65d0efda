import { useMemo } from "react";

import { Answered } from "../builder/Answered.tsx";
import { RequestDisclosure } from "../builder/RequestDisclosure.tsx";
import { rangeInWords } from "../builder/range.ts";
import { useAnswer } from "../builder/useAnswer.ts";
import { useVocabulary } from "../builder/useVocabulary.ts";
import { requestOnceKnown } from "../builder/vocabulary.ts";
import { AddToBoard } from "../dashboards/AddToBoard.tsx";
import { lifecycleTile } from "../dashboards/pageTiles.ts";
import { goTo, useSearch } from "../location.ts";
import type { PageProps } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Page } from "../ui/Page.tsx";
import { Tabs } from "../ui/Tabs.tsx";
import { LifecycleResult } from "./LifecycleResult.tsx";
import { LifecycleSentence } from "./LifecycleSentence.tsx";
import { StickinessResult } from "./StickinessResult.tsx";
import type { LifecycleAnswer, StickinessAnswer } from "./answer.ts";
import { type LifecycleQuestion, lifecycleRequest, readLifecycle, writeLifecycle } from "./question.ts";

function Bones() {
  return (
    <>
      <Bone height={72} />
      <Bone height={340} />
    </>
  );
}

function Lifecycle({ session, onDisconnect, request }: PageProps & { request: string | null }) {
  const asked = useAnswer<LifecycleAnswer>(session, "lifecycle", request);
  return (
    <Answered asked={asked} missing={null} bones={<Bones />} onDisconnect={onDisconnect}>
      {(answer) => <LifecycleResult asked={asked} answer={answer} request={request !== null && <RequestDisclosure session={session} call="lifecycle" request={request} />} />}
    </Answered>
  );
}

function Stickiness({ session, onDisconnect, request }: PageProps & { request: string | null }) {
  const asked = useAnswer<StickinessAnswer>(session, "stickiness", request);
  return (
    <Answered asked={asked} missing={null} bones={<Bones />} onDisconnect={onDisconnect}>
      {(answer) => <StickinessResult answer={answer} request={request !== null && <RequestDisclosure session={session} call="stickiness" request={request} />} />}
    </Answered>
  );
}

/** Who is new, comes back and falls away; and, on the other side, on how many days persons come. */
export default function LifecyclePage({ session, onDisconnect }: PageProps) {
  const search = useSearch();
  const question = useMemo(() => readLifecycle(search), [search]);
  const words = useVocabulary(session);
  const request = requestOnceKnown(words, (typesOf) => lifecycleRequest(question, typesOf));
  const address = (changed: LifecycleQuestion) => `/lifecycle${writeLifecycle(changed)}`;
  const tabs = [
    { name: "Lifecycle", href: address({ ...question, side: "lifecycle" }) },
    { name: "Stickiness", href: address({ ...question, side: "stickiness" }) },
  ];
  const props = { session, onDisconnect, request };
  return (
    <Page title="Lifecycle" about={rangeInWords(question.range)} end={<AddToBoard session={session} draft={request === null ? null : lifecycleTile(question, JSON.parse(request) as Record<string, unknown>)} />}>
      <Tabs label="Sides of this page" tabs={tabs} current={question.side === "lifecycle" ? "Lifecycle" : "Stickiness"} />
      <LifecycleSentence
        question={question}
        words={words}
        onChange={(changed) => {
          goTo(address(changed));
        }}
      />
      {question.side === "lifecycle" ? <Lifecycle {...props} /> : <Stickiness {...props} />}
    </Page>
  );
}
