import { Button } from "@mantine/core";
import { useMemo } from "react";

import { Answered } from "../builder/Answered.tsx";
import { Choose } from "../builder/Choose.tsx";
import { RequestDisclosure } from "../builder/RequestDisclosure.tsx";
import { Workbench } from "../builder/Workbench.tsx";
import { rangeInWords } from "../builder/range.ts";
import { isPicked } from "../builder/subject.ts";
import { useAnswer } from "../builder/useAnswer.ts";
import { useVocabulary } from "../builder/useVocabulary.ts";
import { type Vocabulary, requestOnceKnown } from "../builder/vocabulary.ts";
import { AddToBoard } from "../dashboards/AddToBoard.tsx";
import { retentionTile } from "../dashboards/pageTiles.ts";
import { goTo, useSearch } from "../location.ts";
import type { PageProps } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Message } from "../ui/Message.tsx";
import { Page } from "../ui/Page.tsx";
import { People } from "./People.tsx";
import { Question } from "./Question.tsx";
import { Result } from "./Result.tsx";
import type { RetentionAnswer } from "./answer.ts";
import { membersRule } from "./members.ts";
import { missingPart, toRequest } from "./request.ts";
import { BUCKETINGS, COUNTS, type Retention, readRetention, writeRetention } from "./retention.ts";
import { ruleInWords } from "./rule.ts";

type Change = (changed: Partial<Retention>) => void;

function Bones() {
  return (
    <>
      <Bone height={40} width="30%" />
      <Bone height={340} />
      <Bone height={320} />
    </>
  );
}

/** What retention is, and one to begin with. */
function Empty({ words, onChange }: { words: Vocabulary; onChange: Change }) {
  const [example] = words.events;
  return (
    <Message title="Who comes back?">
      <p className="quiet">Persons who begin in the same period are a cohort. The table shows how many of each come back, period after period, and which periods are not over yet.</p>
      {example !== undefined && (
        <Button
          size="xs"
          onClick={() => {
            onChange({ start: { events: [example.value], conditions: [] } });
          }}
        >
          <span className="cut">Try a first {example.label}, back with any event</span>
        </Button>
      )}
    </Message>
  );
}

function Options({ retention, onChange }: { retention: Retention; onChange: Change }) {
  return (
    <>
      <Choose
        label="Periods count from"
        about="Periods that begin together for all, or the same time after each person's own start."
        choices={BUCKETINGS}
        value={retention.bucketing}
        onChange={(bucketing) => {
          onChange({ bucketing });
        }}
      />
      <Choose
        label="How many periods"
        about="As many for every cohort, also after the range; else up to its end, a triangle."
        choices={COUNTS}
        value={String(retention.periods)}
        onChange={(count) => {
          onChange({ periods: Number(count) });
        }}
      />
    </>
  );
}

/** Cohorts by when they began, how many of each come back, and who they are. */
export default function RetentionPage({ session, onDisconnect }: PageProps) {
  const search = useSearch();
  const retention = useMemo(() => readRetention(search), [search]);
  const words = useVocabulary(session);
  const missing = missingPart(retention);
  const request = missing === null ? requestOnceKnown(words, (typesOf) => toRequest(retention, typesOf)) : null;
  const asked = useAnswer<RetentionAnswer>(session, "retention", request);
  // Another question has other people, unless it says so itself.
  const change: Change = (changed) => {
    goTo(`/retention${writeRetention({ ...retention, shown: null, ...changed })}`);
  };
  const { shown } = retention;
  const answer = missing === null ? asked.answer : undefined;
  const members = shown === null || answer === undefined || asked.stale ? null : membersRule(retention, answer, shown, words.typesOf);
  return (
    <Page title="Retention" about={rangeInWords(retention.range)} end={<AddToBoard session={session} draft={request === null ? null : retentionTile(retention, JSON.parse(request) as Record<string, unknown>)} />}>
      <Workbench question={<Question retention={retention} words={words} onChange={change} />} options={<Options retention={retention} onChange={change} />} rule={answer === undefined ? null : ruleInWords(answer.semantics)}>
        {isPicked(retention.start) ? (
          <Answered asked={asked} missing={missing} bones={<Bones />} onDisconnect={onDisconnect}>
            {(answer) => (
              <Result
                retention={retention}
                answer={answer}
                request={request !== null && <RequestDisclosure session={session} call="retention" request={request} />}
                onChange={change}
                onShow={(people) => {
                  change({ shown: people });
                }}
              />
            )}
          </Answered>
        ) : (
          <Empty words={words} onChange={change} />
        )}
      </Workbench>
      {shown !== null && answer !== undefined && members !== null && (
        <People
          session={session}
          answer={answer}
          shown={shown}
          rule={members}
          onClose={() => {
            change({ shown: null });
          }}
          onDisconnect={onDisconnect}
        />
      )}
    </Page>
  );
}
