import { useMemo } from "react";

import { Answered } from "../builder/Answered.tsx";
import { RequestDisclosure } from "../builder/RequestDisclosure.tsx";
import { rangeInWords } from "../builder/range.ts";
import { useAnswer } from "../builder/useAnswer.ts";
import { useVocabulary } from "../builder/useVocabulary.ts";
import { type Vocabulary, requestOnceKnown } from "../builder/vocabulary.ts";
import { AddToBoard } from "../dashboards/AddToBoard.tsx";
import { sessionsTile } from "../dashboards/pageTiles.ts";
import { goTo, useSearch } from "../location.ts";
import type { PageProps } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Page } from "../ui/Page.tsx";
import { Picker } from "../ui/Picker.tsx";
import { Tabs } from "../ui/Tabs.tsx";
import { ActiveResult } from "./ActiveResult.tsx";
import { SessionsSentence } from "./SessionsSentence.tsx";
import { Groups, SessionsResult } from "./SessionsResult.tsx";
import type { ActiveUsersAnswer, SessionsAnswer } from "./answer.ts";
import { type SessionsQuestion, readSessions, writeSessions } from "./question.ts";
import { activeUsersRequest, breakdownRequest, sessionsRequest } from "./request.ts";

function Bones() {
  return (
    <>
      <Bone height={72} />
      <Bone height={340} />
    </>
  );
}

interface SideProps extends PageProps {
  question: SessionsQuestion;
  words: Vocabulary;
  onChange: (question: SessionsQuestion) => void;
}

function Sessions({ session, onDisconnect, question, words, onChange }: SideProps) {
  const request = requestOnceKnown(words, (typesOf) => sessionsRequest(question, typesOf));
  const asked = useAnswer<SessionsAnswer>(session, "sessions", request);
  const split = useAnswer<SessionsAnswer>(session, "sessions", question.by === "" ? null : requestOnceKnown(words, (typesOf) => breakdownRequest(question, typesOf)));
  const fits = split.answer?.sessions.every((row) => question.by in row) === true;
  // The split stands inside of the whole, and is stopped with it.
  const whole = {
    ...asked,
    cancel: () => {
      asked.cancel();
      split.cancel();
    },
  };
  const pagePicker = (
    <Picker
      label="Pages are named by"
      choices={words.properties}
      free
      value={question.page}
      onChange={(page) => {
        onChange({ ...question, page });
      }}
    />
  );
  return (
    <Answered asked={whole} missing={null} bones={<Bones />} onDisconnect={onDisconnect}>
      {(answer) => (
        <SessionsResult
          question={question}
          asked={asked}
          answer={answer}
          request={request !== null && <RequestDisclosure session={session} call="sessions" request={request} />}
          groups={
            question.by !== "" && (
              <Answered asked={fits ? split : { ...split, answer: undefined }} missing={null} bones={<Bone height={160} />} onDisconnect={onDisconnect}>
                {(groups) => <Groups by={question.by} answer={groups} />}
              </Answered>
            )
          }
          pagePicker={pagePicker}
          onMeasure={(measure) => {
            onChange({ ...question, measure });
          }}
        />
      )}
    </Answered>
  );
}

function ActiveUsers({ session, onDisconnect, question, words }: SideProps) {
  const request = requestOnceKnown(words, (typesOf) => activeUsersRequest(question, typesOf));
  const asked = useAnswer<ActiveUsersAnswer>(session, "active_users", request);
  return (
    <Answered asked={asked} missing={null} bones={<Bones />} onDisconnect={onDisconnect}>
      {(answer) => <ActiveResult by={question.by} asked={asked} answer={answer} request={request !== null && <RequestDisclosure session={session} call="active_users" request={request} />} />}
    </Answered>
  );
}

/** How often persons come and how long they stay; and, on the other side, how many there are. */
export default function SessionsPage({ session, onDisconnect }: PageProps) {
  const search = useSearch();
  const question = useMemo(() => readSessions(search), [search]);
  const words = useVocabulary(session);
  const address = (changed: SessionsQuestion) => `/sessions${writeSessions(changed)}`;
  const onChange = (changed: SessionsQuestion) => {
    goTo(address(changed));
  };
  const request = requestOnceKnown(words, (typesOf) => (question.side === "active" ? activeUsersRequest : sessionsRequest)(question, typesOf));
  const side = { session, onDisconnect, question, words, onChange };
  const tabs = [
    { name: "Sessions", href: address({ ...question, side: "sessions" }) },
    { name: "Active users", href: address({ ...question, side: "active" }) },
  ];
  return (
    <Page title="Sessions" about={rangeInWords(question.range)} end={<AddToBoard session={session} draft={request === null ? null : sessionsTile(question, JSON.parse(request) as Record<string, unknown>)} />}>
      <Tabs label="Sides of this page" tabs={tabs} current={question.side === "sessions" ? "Sessions" : "Active users"} />
      <SessionsSentence question={question} words={words} onChange={onChange} />
      {question.side === "sessions" ? <Sessions {...side} /> : <ActiveUsers {...side} />}
    </Page>
  );
}
