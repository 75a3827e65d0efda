import { Button, TextInput } from "@mantine/core";
import { type SyntheticEvent, useState } from "react";

import { askApp } from "../api/client.ts";
import { AdminKey } from "../cohorts/AdminKey.tsx";
import type { Session } from "../session.ts";
import { Drawer } from "../ui/Drawer.tsx";
import { Link } from "../ui/Link.tsx";
import { Picker } from "../ui/Picker.tsx";
import { type Board, MAX_TILES, MAX_TITLE, type Tile } from "./board.ts";
import { added } from "./layout.ts";
import type { TileDraft } from "./pageTiles.ts";
import { useBoardChange } from "./useBoardChange.ts";
import { useBoards } from "./useBoards.ts";
import { LIST, writeView } from "./view.ts";

const NEW = "";

interface FormProps {
  session: Session;
  draft: TileDraft;
  boards: readonly Board[];
}

/** Which dashboard, under which title. */
function Form({ session, draft, boards }: FormProps) {
  const changes = useBoardChange(session);
  const [title, setTitle] = useState(draft.title ?? "");
  const [board, setBoard] = useState(boards[0]?.id ?? NEW);
  const [name, setName] = useState("");
  const [saved, setSaved] = useState<Board | null>(null);
  const [full, setFull] = useState(false);
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    const tile: Tile = { x: 0, y: 0, ...draft, title: title.trim() };
    if (board === NEW) {
      setSaved(await changes.makeAndWait({ what: "create", content: { name: name.trim(), tiles: added([], tile) } }));
      return;
    }
    // As it is now: others may have changed it since the list was asked for.
    const current = await askApp<Board>(session, "GET", `dashboards/${encodeURIComponent(board)}`);
    if (current.tiles.length >= MAX_TILES) {
      setFull(true);
      return;
    }
    setSaved(await changes.makeAndWait({ what: "replace", id: board, version: current.version, content: { ...current, tiles: added(current.tiles, tile) } }));
  };
  if (saved !== null) {
    return (
      <p role="status">
        It is on{" "}
        <Link className="link" href={writeView({ ...LIST, id: saved.id })}>
          {saved.name}
        </Link>
        .
      </p>
    );
  }
  return (
    // What failed is shown below the key, as the change tells it.
    <form className="board-form" onSubmit={(event) => void submit(event).catch(() => undefined)}>
      <TextInput
        label="Title"
        required
        withAsterisk={false}
        maxLength={MAX_TITLE}
        value={title}
        onChange={(event) => {
          setTitle(event.currentTarget.value);
        }}
      />
      <div className="option">
        <span className="option-label">Dashboard</span>
        <Picker
          label="Dashboard"
          choices={[...boards.map(({ id, name }) => ({ value: id, label: name })), { value: NEW, label: "a new one" }]}
          value={board}
          onChange={(picked) => {
            setBoard(picked);
            setFull(false);
          }}
        />
      </div>
      {board === NEW && (
        <TextInput
          label="Name of the new dashboard"
          required
          withAsterisk={false}
          maxLength={100}
          value={name}
          onChange={(event) => {
            setName(event.currentTarget.value);
          }}
        />
      )}
      <AdminKey session={session} changes={changes} what="dashboards" kept="in the memory of this tab until it is reloaded" />
      {full && (
        <p className="problem small" role="alert">
          This dashboard has {MAX_TILES} tiles, as many as one may have: choose another.
        </p>
      )}
      <Button type="submit" loading={changes.busy}>
        Add
      </Button>
    </form>
  );
}

function AddDrawer({ session, draft, onClose }: { session: Session; draft: TileDraft; onClose: () => void }) {
  const { boards, error } = useBoards(session);
  return (
    <Drawer title="Add to dashboard" onClose={onClose}>
      {error !== null && <p className="problem">{error.message}</p>}
      {boards !== undefined && <Form session={session} draft={draft} boards={boards} />}
    </Drawer>
  );
}

/** Puts the question of a page on a dashboard; nothing to press before there is one. */
export function AddToBoard({ session, draft }: { session: Session; draft: TileDraft | null }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button
        className="add-to-board"
        variant="default"
        size="xs"
        disabled={draft === null}
        onClick={() => {
          setOpen(true);
        }}
      >
        Add to dashboard
      </Button>
      {open && draft !== null && (
        <AddDrawer
          session={session}
          draft={draft}
          onClose={() => {
            setOpen(false);
          }}
        />
      )}
    </>
  );
}
