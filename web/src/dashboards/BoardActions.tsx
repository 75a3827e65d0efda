import { ActionIcon, Button, Menu } from "@mantine/core";
import { type SyntheticEvent, useState } from "react";

import { AdminKey } from "../cohorts/AdminKey.tsx";
import { LiveDot } from "../live/LiveDot.tsx";
import { goTo } from "../location.ts";
import type { Session } from "../session.ts";
import { Drawer } from "../ui/Drawer.tsx";
import { download } from "../ui/download.ts";
import { DotsIcon } from "../ui/icons.tsx";
import { type Board, contentOf } from "./board.ts";
import type { BoardState } from "./boardFeed.ts";
import { useBoardChange } from "./useBoardChange.ts";
import { LIST, type View, writeView } from "./view.ts";

/** What is about to be done with the whole dashboard. */
type Wanted = "duplicate" | "delete";

interface ConfirmProps {
  session: Session;
  board: Board;
  wanted: Wanted;
  onClose: () => void;
}

const WORDS = {
  duplicate: { title: "Duplicate this dashboard", about: "A second one with the same tiles, to change without changing this one.", button: "Duplicate" },
  delete: { title: "Delete this dashboard", about: "It is gone for everybody who looks at it. Export it first to keep a copy.", button: "Delete" },
};

function Confirm({ session, board, wanted, onClose }: ConfirmProps) {
  const changes = useBoardChange(session);
  const { title, about, button } = WORDS[wanted];
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const change = wanted === "delete" ? { what: "delete" as const, id: board.id } : { what: "create" as const, content: { ...board, name: `${board.name.slice(0, 90)}, copy` } };
    changes.make(change, (made) => {
      goTo(writeView({ ...LIST, id: made?.id ?? null }));
    });
  };
  return (
    <Drawer title={title} onClose={onClose}>
      <form className="board-form" onSubmit={submit}>
        <p>
          <strong>{board.name}</strong>
        </p>
        <p className="quiet">{about}</p>
        <AdminKey session={session} changes={changes} what="dashboards" kept="in the memory of this tab until it is reloaded" />
        <Button type="submit" {...(wanted === "delete" && { color: "red" })} loading={changes.busy}>
          {button}
        </Button>
      </form>
    </Drawer>
  );
}

/** How fresh the dashboard is, and what can be done with all of it. */
export function BoardActions({ session, board, view, state }: { session: Session; board: Board; view: View; state: BoardState }) {
  const [wanted, setWanted] = useState<Wanted | null>(null);
  const save = () => {
    download(`${board.name}.json`, "application/json", `${JSON.stringify(contentOf(board), null, 2)}\n`);
  };
  const wall = () => {
    // Where a browser does not allow it, the page is bare all the same.
    void document.documentElement.requestFullscreen().catch(() => undefined);
    goTo(writeView({ ...view, wall: true }));
  };
  return (
    <>
      <LiveDot phase={state.phase} heardAt={state.heardAt} />
      <Button
        variant="default"
        size="xs"
        onClick={() => {
          goTo(writeView({ ...view, edit: true }));
        }}
      >
        Edit
      </Button>
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" size={32} aria-label="More of this dashboard">
            <DotsIcon />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={wall}>Show on a wall</Menu.Item>
          <Menu.Item onClick={save}>Export as JSON</Menu.Item>
          <Menu.Item
            onClick={() => {
              setWanted("duplicate");
            }}
          >
            Duplicate
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item
            color="red"
            onClick={() => {
              setWanted("delete");
            }}
          >
            Delete
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {wanted !== null && (
        <Confirm
          session={session}
          board={board}
          wanted={wanted}
          onClose={() => {
            setWanted(null);
          }}
        />
      )}
    </>
  );
}
