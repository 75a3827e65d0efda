import { useMediaQuery } from "@mantine/hooks";
import { type ReactNode, useMemo } from "react";

import type { Condition } from "../builder/conditions.ts";
import { useVocabulary } from "../builder/useVocabulary.ts";
import type { Vocabulary } from "../builder/vocabulary.ts";
import { conditionsFrom } from "../cohorts/readRule.ts";
import { LiveDot } from "../live/LiveDot.tsx";
import { goTo } from "../location.ts";
import type { PageProps } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Failure } from "../ui/Failure.tsx";
import { Link } from "../ui/Link.tsx";
import { Message } from "../ui/Message.tsx";
import { Page } from "../ui/Page.tsx";
import { BoardActions } from "./BoardActions.tsx";
import { BoardGrid } from "./BoardGrid.tsx";
import { EditBoard } from "./EditBoard.tsx";
import { ScopeBar } from "./ScopeBar.tsx";
import { TileFrame } from "./TileFrame.tsx";
import { Wall } from "./Wall.tsx";
import { AnnotationsContext } from "./annotations.ts";
import type { Annotation, Board } from "./board.ts";
import type { BoardState } from "./boardFeed.ts";
import { type ShownTile, shownTiles } from "./draft.ts";
import { useBoard } from "./useBoard.ts";
import { type View, openedLink, streamQuery, writeView } from "./view.ts";

interface BoardPageProps extends PageProps {
  id: string;
  view: View;
}

const NO_MARKS: readonly Annotation[] = [];
const PHONE = "(max-width: 640px)";

function Skeleton({ state, onDisconnect }: { state: BoardState | null; onDisconnect: () => void }) {
  const { phase = "connecting", error = null } = state ?? {};
  if (error !== null && (phase === "refused" || phase === "ended")) {
    if (error.code === "unknown_dashboard" || error.code === "dashboard_deleted") return <Gone />;
    return <Failure error={error} onDisconnect={onDisconnect} />;
  }
  return (
    <div className="board-grid" aria-busy="true" aria-label="Loading">
      {error !== null && <p className="problem">{error.message}</p>}
      <Bone height={144} />
      <Bone height={304} />
    </div>
  );
}

function Gone() {
  return (
    <Message title="This dashboard is not there">
      <p className="quiet">It was deleted, or the link is of another app.</p>
      <Link className="link" href="/dashboards">
        All dashboards
      </Link>
    </Message>
  );
}

/** What holds on a dashboard: as it was saved, unless the address says otherwise. */
function scopeOf(board: Board, view: View): { range: string; conditions: Condition[] | null } {
  const saved = conditionsFrom(board.filters ?? undefined);
  return { range: view.range === "" ? (board.range ?? "") : view.range, conditions: view.conditions ?? saved };
}

interface ShownProps extends BoardPageProps {
  board: Board;
  state: BoardState;
  words: Vocabulary;
}

/** Tiles to look at. */
export function Tiles({ tiles, state, scope, bare, phone }: { tiles: ShownTile[]; state: BoardState; scope: { range: string; conditions: Condition[] | null }; bare: boolean; phone: boolean }) {
  const stale = state.phase !== "live";
  return (
    <AnnotationsContext value={state.board?.annotations ?? NO_MARKS}>
      <BoardGrid tiles={tiles}>
        {(tile) => (
          <TileFrame
            tile={tile}
            known={tile.from === null ? undefined : state.answers.get(tile.from)}
            stale={stale}
            href={tile.link === undefined ? null : openedLink(tile.link, scope.range, scope.conditions ?? [])}
            handles={null}
            actions={null}
            bare={bare}
            phone={phone}
          />
        )}
      </BoardGrid>
    </AnnotationsContext>
  );
}

function Shown({ session, onDisconnect, id, view, board, state, words }: ShownProps) {
  const phone = useMediaQuery(PHONE, false, { getInitialValueInEffect: false });
  const tiles = useMemo(() => shownTiles(board.tiles), [board.tiles]);
  const scope = scopeOf(board, view);
  const set = (changed: Partial<View>) => {
    goTo(writeView({ ...view, ...changed }), view.edit && changed.edit !== false);
  };
  const bar = (
    <ScopeBar
      range={scope.range}
      conditions={scope.conditions}
      chosen={view.range !== "" || view.conditions !== null}
      words={words}
      onRange={(range) => {
        set({ range });
      }}
      onConditions={(conditions) => {
        set({ conditions });
      }}
      onReset={() => {
        set({ range: "", conditions: null });
      }}
    />
  );
  if (view.wall) {
    return (
      <Wall board={board} tiles={tiles} state={state} range={scope.range} view={view}>
        <Tiles tiles={tiles} state={state} scope={scope} bare phone={phone} />
      </Wall>
    );
  }
  if (view.edit) return <EditBoard session={session} id={id} view={view} board={board} state={state} scope={scope} words={words} bar={bar} phone={phone} />;
  return (
    <Page title={board.name} about={board.description} end={<BoardActions session={session} board={board} view={view} state={state} />}>
      {state.phase === "refused" || state.phase === "ended" ? <Skeleton state={state} onDisconnect={onDisconnect} /> : bar}
      {board.tiles.length === 0 && <NoTiles view={view} />}
      <Tiles tiles={tiles} state={state} scope={scope} bare={false} phone={phone} />
    </Page>
  );
}

function NoTiles({ view }: { view: View }): ReactNode {
  return (
    <Message title="No tiles yet">
      <p className="quiet">Ask a question on any page and press “Add to dashboard”, or write a text here.</p>
      <Link className="link" href={writeView({ ...view, edit: true })}>
        Edit this dashboard
      </Link>
    </Message>
  );
}

function Watched({ session, onDisconnect, id, view, words }: BoardPageProps & { words: Vocabulary }) {
  const state = useBoard(session, id, streamQuery(view, words.typesOf));
  if (state.board === null) {
    return (
      <Page title="Dashboard" end={<LiveDot phase={state.phase} heardAt={state.heardAt} />}>
        <Skeleton state={state} onDisconnect={onDisconnect} />
      </Page>
    );
  }
  return <Shown session={session} onDisconnect={onDisconnect} id={id} view={view} board={state.board} state={state} words={words} />;
}

/** One dashboard: its answers as they change, its range and filters, and the way to change it. */
export function BoardPage(props: BoardPageProps) {
  const words = useVocabulary(props.session);
  // What a condition of the address means depends on the types of values.
  if (props.view.conditions !== null && !words.settled) {
    return (
      <Page title="Dashboard">
        <Skeleton state={null} onDisconnect={props.onDisconnect} />
      </Page>
    );
  }
  return <Watched {...props} words={words} />;
}
