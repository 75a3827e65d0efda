import { useMemo, useRef, useState } from "react";

import { Answered } from "../builder/Answered.tsx";
import { RequestDisclosure } from "../builder/RequestDisclosure.tsx";
import { type Asked, useAnswer } from "../builder/useAnswer.ts";
import { useSchema } from "../builder/useVocabulary.ts";
import { AddToBoard } from "../dashboards/AddToBoard.tsx";
import { sqlTile } from "../dashboards/pageTiles.ts";
import { goTo, useSearch } from "../location.ts";
import type { PageProps } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Message } from "../ui/Message.tsx";
import { Page } from "../ui/Page.tsx";
import { Examples, History, Tables } from "./Aside.tsx";
import { Editor } from "./Editor.tsx";
import { SqlProblem } from "./SqlProblem.tsx";
import { SqlResult } from "./SqlResult.tsx";
import type { SqlAnswer } from "./answer.ts";
import { EXAMPLES } from "./examples.ts";
import { forgetStatements, rememberStatement, rememberedStatements } from "./history.ts";
import { offsetOf, positionIn } from "./problem.ts";
import { insertText, replaceText } from "./replaceText.ts";
import { type Statement, readStatement, writeStatement } from "./statement.ts";

/** The text in the editor: it follows the address, so that going back brings the statement back. */
function useDraft(sql: string): [string, (draft: string) => void] {
  const asText = sql === "" ? (EXAMPLES[0]?.sql ?? "") : sql;
  const [draft, setDraft] = useState({ of: sql, text: asText });
  if (draft.of !== sql) setDraft({ of: sql, text: asText });
  return [
    draft.text,
    (text) => {
      setDraft({ of: sql, text });
    },
  ];
}

interface OutcomeProps extends PageProps {
  statement: Statement;
  asked: Asked<SqlAnswer>;
  onView: (view: Statement["view"]) => void;
  /** Puts the cursor where the statement cannot be read. */
  onShow: () => void;
}

const requestOf = (sql: string) => (sql === "" ? null : JSON.stringify({ sql }));

/** What came of the statement that was run last. */
function Outcome({ session, statement: { sql, view }, asked, onView, onShow, onDisconnect }: OutcomeProps) {
  const request = requestOf(sql);
  if (request === null) {
    return (
      <Message title="Nothing asked yet">
        <p className="quiet">One SELECT reads this app&rsquo;s events, sessions and persons. It can change nothing. Run the one above, or begin with an example.</p>
      </Message>
    );
  }
  if (asked.error !== null) return <SqlProblem error={asked.error} sql={sql} onRetry={asked.retry} onDisconnect={onDisconnect} onShow={onShow} />;
  return (
    <Answered asked={asked} missing={null} bones={<Bone height={240} />} onDisconnect={onDisconnect}>
      {(answer) => <SqlResult answer={answer} view={view} request={<RequestDisclosure session={session} call="sql" request={request} />} onView={onView} />}
    </Answered>
  );
}

/** One SELECT, written by hand, answered as a table or a chart. */
export default function SqlPage({ session, onDisconnect }: PageProps) {
  const search = useSearch();
  const statement = useMemo(() => readStatement(search), [search]);
  const { sql, view } = statement;
  const { schema } = useSchema(session);
  const area = useRef<HTMLTextAreaElement>(null);
  const [draft, setDraft] = useDraft(sql);
  const [history, setHistory] = useState(() => rememberedStatements(session.app));
  const asked = useAnswer<SqlAnswer>(session, "sql", requestOf(sql));
  const set = (changed: Statement) => {
    goTo(`/sql${writeStatement(changed)}`);
  };
  const run = () => {
    const wanted = draft.trim();
    if (wanted === "") return;
    setHistory(rememberStatement(session.app, wanted));
    if (wanted === sql) asked.retry();
    else set({ sql: wanted, view });
  };
  const pick = (picked: string) => {
    if (area.current !== null) replaceText(area.current, { text: picked, start: picked.length, end: picked.length });
  };
  const showProblem = () => {
    const position = positionIn(asked.error?.message ?? "");
    if (area.current === null || position === null) return;
    const at = offsetOf(area.current.value, position);
    area.current.focus();
    area.current.setSelectionRange(at, Math.min(at + 1, area.current.value.length));
  };
  return (
    <Page title="SQL" about="Reads events, sessions and persons" end={<AddToBoard session={session} draft={sql === "" ? null : sqlTile(statement)} />}>
      <div className="sql">
        <div className="sql-main">
          <Editor area={area} sql={draft} onChange={setDraft} onRun={run} asked={draft.trim() === sql} />
          <Outcome
            session={session}
            statement={statement}
            asked={asked}
            onShow={showProblem}
            onView={(picked) => {
              set({ sql, view: picked });
            }}
            onDisconnect={onDisconnect}
          />
        </div>
        <aside className="sql-side" aria-label="Help for statements">
          <Tables
            properties={schema?.properties ?? []}
            onInsert={(text) => {
              if (area.current !== null) insertText(area.current, text);
            }}
          />
          <Examples onPick={pick} />
          <History
            statements={history}
            onPick={pick}
            onForget={() => {
              forgetStatements(session.app);
              setHistory([]);
            }}
          />
        </aside>
      </div>
    </Page>
  );
}
