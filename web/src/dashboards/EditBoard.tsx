import { Button, TextInput } from "@mantine/core";
import { type ReactNode, type SyntheticEvent, useEffect, useState } from "react";

import { type Condition, filtersOf } from "../builder/conditions.ts";
import { daysOf } from "../builder/range.ts";
import type { Vocabulary } from "../builder/vocabulary.ts";
import { AdminKey } from "../cohorts/AdminKey.tsx";
import { LiveDot } from "../live/LiveDot.tsx";
import { goTo } from "../location.ts";
import type { Session } from "../session.ts";
import { Page } from "../ui/Page.tsx";
import { BoardGrid } from "./BoardGrid.tsx";
import { MarksEditor } from "./MarksEditor.tsx";
import { TileEditor } from "./TileEditor.tsx";
import { TileFrame } from "./TileFrame.tsx";
import { AnnotationsContext } from "./annotations.ts";
import { type Board, MAX_TILES } from "./board.ts";
import type { BoardState } from "./boardFeed.ts";
import { type Drafting, type ShownTile, savedContent, useDraft } from "./draft.ts";
import { added, compacted } from "./layout.ts";
import { type BoardChanges, useBoardChange } from "./useBoardChange.ts";
import { type View, openedLink, writeView } from "./view.ts";

interface EditBoardProps {
  session: Session;
  id: string;
  view: View;
  board: Board;
  state: BoardState;
  scope: { range: string; conditions: Condition[] | null };
  words: Vocabulary;
  /** Range and filters, which are saved with the rest. */
  bar: ReactNode;
  phone: boolean;
}

/** A key that no other tile has. */
const newKey = () => `new ${crypto.randomUUID()}`;

/** Undo and redo by the keys that everybody knows, but for texts, which have their own. */
function useUndoKeys({ undo, redo }: Drafting): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const writes = event.target instanceof HTMLElement && event.target.closest("input, textarea") !== null;
      if (writes || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
      event.preventDefault();
      if (event.shiftKey) redo();
      else undo();
    };
    window.addEventListener("keydown", onKey);
    return () => {
      window.removeEventListener("keydown", onKey);
    };
  }, [undo, redo]);
}

interface EditBarProps {
  session: Session;
  drafting: Drafting;
  changes: BoardChanges;
  overtaken: boolean;
  canSave: boolean;
  onSave: () => void;
  onText: () => void;
  onMarks: () => void;
  onLeave: () => void;
}

/** What is done with the draft: its name, its steps, and whether it is saved. */
function EditBar({ session, drafting, changes, overtaken, canSave, onSave, onText, onMarks, onLeave }: EditBarProps) {
  const { draft } = drafting;
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    onSave();
  };
  return (
    <form className="panel edit-bar" aria-label="Changes of this dashboard" onSubmit={submit}>
      <TextInput
        className="edit-name"
        aria-label="Name"
        required
        maxLength={100}
        value={draft.name}
        onChange={(event) => {
          drafting.change({ name: event.currentTarget.value });
        }}
      />
      <div className="edit-steps">
        <Button variant="default" size="xs" disabled={draft.tiles.length >= MAX_TILES} onClick={onText}>
          Add text
        </Button>
        <Button variant="default" size="xs" onClick={onMarks}>
          Marks
        </Button>
        <Button variant="default" size="xs" disabled={!drafting.canUndo} onClick={drafting.undo}>
          Undo
        </Button>
        <Button variant="default" size="xs" disabled={!drafting.canRedo} onClick={drafting.redo}>
          Redo
        </Button>
      </div>
      <div className="edit-end">
        <Button variant="default" size="xs" onClick={onLeave}>
          {drafting.changed ? "Discard" : "Done"}
        </Button>
        <Button type="submit" size="xs" disabled={!canSave || overtaken} loading={changes.busy}>
          Save
        </Button>
      </div>
      <div className="edit-key">
        <AdminKey session={session} changes={changes} what="dashboards" kept="in the memory of this tab until it is reloaded" />
      </div>
      {overtaken && (
        <p className="problem small" role="alert">
          Somebody else has saved this dashboard since you began. Discard your changes to see theirs; what you have can be exported first.
        </p>
      )}
    </form>
  );
}

/** A dashboard while its tiles are arranged; nobody else sees anything of it before it is saved. */
export function EditBoard({ session, id, view, board, state, scope, words, bar, phone }: EditBoardProps) {
  const drafting = useDraft(session.app, id, board);
  const changes = useBoardChange(session);
  const [edited, setEdited] = useState<string | null>(null);
  const [marking, setMarking] = useState(false);
  useUndoKeys(drafting);
  const { draft } = drafting;
  const scopeChanged = view.range !== "" || view.conditions !== null;
  const overtaken = drafting.changed && board.version > drafting.version;
  const setTiles = (tiles: ShownTile[]) => {
    drafting.change({ tiles });
  };
  const leave = (kept: Partial<View> = {}) => {
    drafting.discard();
    goTo(writeView({ ...view, edit: false, ...kept }), true);
  };
  const save = () => {
    // Two days are for looking at; what is kept goes on with the time.
    const range = daysOf(scope.range) === null && scope.range !== "" ? scope.range : (board.range ?? null);
    const filters = view.conditions === null ? (board.filters ?? undefined) : filtersOf(view.conditions, words.typesOf);
    changes.make({ what: "replace", id, version: drafting.version, content: savedContent(draft, range, filters) }, () => {
      leave({ range: daysOf(view.range) === null ? "" : view.range, conditions: null });
    });
  };
  const addText = () => {
    const tile: ShownTile = { x: 0, y: 0, w: 4, h: 2, text: "", from: null, key: newKey() };
    setTiles(added(draft.tiles, tile));
    setEdited(tile.key);
  };
  const actionsOf = (tile: ShownTile) => ({
    onEdit: () => {
      setEdited(tile.key);
    },
    onDuplicate: () => {
      if (draft.tiles.length < MAX_TILES) setTiles(added(draft.tiles, { ...tile, key: newKey() }));
    },
    onRemove: () => {
      setTiles(compacted(draft.tiles.filter(({ key }) => key !== tile.key)));
    },
  });
  const current = draft.tiles.find(({ key }) => key === edited);
  return (
    <Page title="Edit dashboard" about={board.name} end={<LiveDot phase={state.phase} heardAt={state.heardAt} />}>
      <EditBar
        session={session}
        drafting={drafting}
        changes={changes}
        overtaken={overtaken}
        canSave={drafting.changed || scopeChanged}
        onSave={save}
        onText={addText}
        onMarks={() => {
          setMarking(true);
        }}
        onLeave={() => {
          leave();
        }}
      />
      {bar}
      <AnnotationsContext value={draft.annotations}>
        <BoardGrid tiles={draft.tiles} onArrange={phone ? undefined : setTiles}>
          {(tile, handles) => (
            <TileFrame
              tile={tile}
              known={tile.from === null ? undefined : state.answers.get(tile.from)}
              stale={state.phase !== "live"}
              href={tile.link === undefined ? null : openedLink(tile.link, scope.range, scope.conditions ?? [])}
              handles={handles}
              actions={actionsOf(tile)}
              bare={false}
              phone={phone}
            />
          )}
        </BoardGrid>
      </AnnotationsContext>
      {marking && (
        <MarksEditor
          marks={draft.annotations}
          onChange={(annotations) => {
            drafting.change({ annotations });
          }}
          onClose={() => {
            setMarking(false);
          }}
        />
      )}
      {current !== undefined && (
        <TileEditor
          tile={current}
          onDone={(changed) => {
            setTiles(draft.tiles.map((tile) => (tile.key === current.key ? { ...tile, ...changed } : tile)));
            setEdited(null);
          }}
          onClose={() => {
            setEdited(null);
          }}
        />
      )}
    </Page>
  );
}
