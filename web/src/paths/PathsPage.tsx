import { useMediaQuery } from "@mantine/hooks";
import { type ReactNode, useMemo } from "react";

import { Answered } from "../builder/Answered.tsx";
import { Facts } from "../builder/Facts.tsx";
import { RequestDisclosure } from "../builder/RequestDisclosure.tsx";
import { rangeInWords } from "../builder/range.ts";
import { useAnswer } from "../builder/useAnswer.ts";
import { useVocabulary } from "../builder/useVocabulary.ts";
import { requestOnceKnown } from "../builder/vocabulary.ts";
import { fullNumber } from "../format.ts";
import { AddToBoard } from "../dashboards/AddToBoard.tsx";
import { pathsTile } from "../dashboards/pageTiles.ts";
import { goTo, useSearch } from "../location.ts";
import type { PageProps } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Message } from "../ui/Message.tsx";
import { Page } from "../ui/Page.tsx";
import { FlowChart, type StepActions } from "./FlowChart.tsx";
import { PathTable } from "./PathTable.tsx";
import { PathsSentence } from "./PathsSentence.tsx";
import type { PathsAnswer } from "./answer.ts";
import { type FlowNode, flowOf } from "./flow.ts";
import { BY_EVENT, MAX_WITHOUT, type PathsQuestion, readPaths, writePaths } from "./question.ts";
import { pathsRequest } from "./request.ts";
import { headsOf, ruleInWords } from "./rule.ts";

/** Names at each place of the picture; a phone has less patience. */
const MOST_NAMES = 8;
const MOST_NAMES_NARROW = 5;

function Bones() {
  return (
    <>
      <Bone height={20} width="30%" />
      <Bone height={420} />
    </>
  );
}

interface ResultProps {
  answer: PathsAnswer;
  actions: StepActions;
  request: ReactNode;
}

function Result({ answer, actions, request }: ResultProps) {
  const narrow = useMediaQuery("(max-width: 640px)", false, { getInitialValueInEffect: false });
  const flow = useMemo(() => flowOf(answer, narrow ? MOST_NAMES_NARROW : MOST_NAMES), [answer, narrow]);
  if (answer.sequences === 0) {
    return (
      <Message title="No paths">
        <p className="quiet">No person did this in the range. Try a longer range, another event, or fewer conditions.</p>
      </Message>
    );
  }
  return (
    <>
      <section className="panel chart-panel" aria-label="Flow">
        <header>
          <h2 className="cut tabular">
            {fullNumber(answer.sequences)} paths of {fullNumber(answer.users)} persons
          </h2>
        </header>
        <FlowChart flow={flow} total={answer.sequences} heads={headsOf(answer)} actions={actions} />
        {flow.folded && <p className="small quiet">The most frequent names at each place; the rest of a place is Other, with the ways in and out of it.</p>}
        <p className="small quiet rule">{ruleInWords(answer.semantics)}.</p>
        <Facts answer={answer} />
        {request}
      </section>
      <PathTable paths={answer.paths} />
    </>
  );
}

/** Changes of the question that a step of the picture offers. */
function stepActions(question: PathsQuestion, set: (question: PathsQuestion) => void): StepActions {
  const byEvent = question.by === BY_EVENT;
  const hung = (node: FlowNode, anchor: "start" | "end") => {
    set({ ...question, anchor, ...(byEvent ? { event: String(node.name), value: undefined } : { event: "", value: node.name }) });
  };
  return {
    onFrom: (node) => {
      hung(node, "start");
    },
    onTo: (node) => {
      hung(node, "end");
    },
    onWithout: byEvent
      ? (node) => {
          set({ ...question, without: [...new Set([...question.without, String(node.name)])].slice(0, MAX_WITHOUT) });
        }
      : null,
  };
}

/** What persons do next, or did before: a picture of the ways, and the most frequent ones whole. */
export default function PathsPage({ session, onDisconnect }: PageProps) {
  const search = useSearch();
  const question = useMemo(() => readPaths(search), [search]);
  const words = useVocabulary(session);
  const request = requestOnceKnown(words, (typesOf) => pathsRequest(question, typesOf));
  const asked = useAnswer<PathsAnswer>(session, "paths", request);
  const set = (changed: PathsQuestion) => {
    goTo(`/paths${writePaths(changed)}`);
  };
  return (
    <Page title="Paths" about={rangeInWords(question.range)} end={<AddToBoard session={session} draft={request === null ? null : pathsTile(question, JSON.parse(request) as Record<string, unknown>)} />}>
      <PathsSentence question={question} words={words} onChange={set} />
      <Answered asked={asked} missing={null} bones={<Bones />} onDisconnect={onDisconnect}>
        {(answer) => (
          <Result answer={answer} actions={stepActions(question, set)} request={request !== null && <RequestDisclosure session={session} call="paths" request={request} />} />
        )}
      </Answered>
    </Page>
  );
}
