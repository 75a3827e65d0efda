import { Button } from "@mantine/core";
import { useMemo } from "react";

import { Answered } from "../builder/Answered.tsx";
import { RequestDisclosure } from "../builder/RequestDisclosure.tsx";
import { Workbench } from "../builder/Workbench.tsx";
import { rangeInWords } from "../builder/range.ts";
import { useAnswer } from "../builder/useAnswer.ts";
import { useVocabulary } from "../builder/useVocabulary.ts";
import { type Vocabulary, requestOnceKnown } from "../builder/vocabulary.ts";
import { AddToBoard } from "../dashboards/AddToBoard.tsx";
import { funnelTile } from "../dashboards/pageTiles.ts";
import { goTo, useSearch } from "../location.ts";
import type { PageProps } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Message } from "../ui/Message.tsx";
import { Page } from "../ui/Page.tsx";
import { Options } from "./Options.tsx";
import { People } from "./People.tsx";
import { Question } from "./Question.tsx";
import { Result } from "./Result.tsx";
import type { FunnelAnswer } from "./answer.ts";
import { exampleSteps } from "./example.ts";
import { type Funnel, readFunnel, writeFunnel } from "./funnel.ts";
import { funnelRequest, missingPart, toRequest } from "./request.ts";
import { ruleInWords } from "./rule.ts";

function Bones() {
  return (
    <>
      <Bone height={40} width="30%" />
      <Bone height={240} />
      <Bone height={72} />
    </>
  );
}

/** What a funnel is, and one to begin with. */
function Empty({ words, onSteps }: { words: Vocabulary; onSteps: (names: string[]) => void }) {
  const names = exampleSteps(words.events);
  return (
    <Message title="How many go all the way?">
      <p className="quiet">A funnel follows each person through steps: how many do the next one in time, where the others are lost, and how long it takes.</p>
      {names.length > 1 && (
        <Button
          size="xs"
          onClick={() => {
            onSteps(names);
          }}
        >
          <span className="cut">Try {names.join(" → ")}</span>
        </Button>
      )}
    </Message>
  );
}

/** Steps, how many persons go through them, and who they are. */
export default function FunnelsPage({ session, onDisconnect }: PageProps) {
  const search = useSearch();
  const funnel = useMemo(() => readFunnel(search), [search]);
  const words = useVocabulary(session);
  const missing = missingPart(funnel);
  const request = missing === null ? requestOnceKnown(words, (typesOf) => toRequest(funnel, typesOf)) : null;
  const asked = useAnswer<FunnelAnswer>(session, "funnel", request);
  const go = (changed: Funnel) => {
    goTo(`/funnels${writeFunnel(changed)}`);
  };
  // Another question has other people.
  const edit = (changed: Funnel) => {
    go({ ...changed, shown: null });
  };
  const { shown } = funnel;
  const rule = asked.answer === undefined || missing !== null ? null : ruleInWords(asked.answer.semantics);
  return (
    <Page title="Funnels" about={rangeInWords(funnel.range)} end={<AddToBoard session={session} draft={request === null ? null : funnelTile(funnel, JSON.parse(request) as Record<string, unknown>)} />}>
      <Workbench question={<Question funnel={funnel} words={words} onChange={edit} />} options={<Options funnel={funnel} words={words} onChange={edit} />} rule={rule}>
        {funnel.steps.length === 0 ? (
          <Empty
            words={words}
            onSteps={(names) => {
              edit({ ...funnel, steps: names.map((name) => ({ events: [name], conditions: [], optional: false })) });
            }}
          />
        ) : (
          <Answered asked={asked} missing={missing} bones={<Bones />} onDisconnect={onDisconnect}>
            {(answer) => (
              <Result
                funnel={funnel}
                asked={asked}
                answer={answer}
                request={request !== null && <RequestDisclosure session={session} call="funnel" request={request} />}
                onShow={(people) => {
                  go({ ...funnel, shown: people });
                }}
              />
            )}
          </Answered>
        )}
      </Workbench>
      {shown !== null && request !== null && (
        <People
          session={session}
          request={funnelRequest(funnel, words.typesOf)}
          shown={shown}
          step={asked.answer?.funnel[shown.step - 1]?.step ?? `step ${shown.step}`}
          onClose={() => {
            go({ ...funnel, shown: null });
          }}
          onDisconnect={onDisconnect}
        />
      )}
    </Page>
  );
}
