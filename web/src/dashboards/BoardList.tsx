import { Button, TextInput } from "@mantine/core";
import { type SyntheticEvent, useState } from "react";

import { AdminKey } from "../cohorts/AdminKey.tsx";
import { age } from "../format.ts";
import { goTo } from "../location.ts";
import type { PageProps, Session } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Drawer } from "../ui/Drawer.tsx";
import { Failure } from "../ui/Failure.tsx";
import { Link } from "../ui/Link.tsx";
import { Message } from "../ui/Message.tsx";
import { Page } from "../ui/Page.tsx";
import { useNow } from "../ui/useNow.ts";
import { type Board, type BoardContent, readContent } from "./board.ts";
import { TEMPLATES } from "./templates.ts";
import { useBoardChange } from "./useBoardChange.ts";
import { useBoards } from "./useBoards.ts";
import { LIST, writeView } from "./view.ts";

const open = (id: string) => writeView({ ...LIST, id });

const tileCount = (count: number) => (count === 1 ? "1 tile" : `${count} tiles`);

function Rows({ boards }: { boards: readonly Board[] }) {
  const now = useNow(60_000);
  return (
    <ul className="board-list">
      {boards.map(({ id, name, description, tiles, updated_at }) => (
        <li key={id}>
          <Link className="panel board-card" href={open(id)}>
            <strong className="cut">{name}</strong>
            <span className="quiet board-card-about">{description ?? "\u00a0"}</span>
            <span className="small quiet tabular">
              {tileCount(tiles.length)} · changed {age(now - Date.parse(updated_at))}
            </span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

/** Where a new dashboard begins: a template, or a file that was exported. */
function Beginnings({ chosen, onChoose }: { chosen: string; onChoose: (name: string, content: BoardContent) => void }) {
  const [problem, setProblem] = useState<string | null>(null);
  const read = async (file: File | undefined) => {
    if (file === undefined) return;
    const content = readContent(await file.text());
    setProblem(content === null ? "This file is no dashboard: one that was exported is JSON with a name and tiles." : null);
    if (content !== null) onChoose(file.name, content);
  };
  return (
    <fieldset className="beginnings">
      <legend>Begin with</legend>
      {TEMPLATES.map(({ name, about, content }) => (
        <label key={name} className="beginning">
          <input
            type="radio"
            name="beginning"
            aria-label={name}
            checked={chosen === name}
            onChange={() => {
              onChoose(name, content);
            }}
          />
          <span>
            <strong>{name}</strong>
            <span className="small quiet">{about}</span>
          </span>
        </label>
      ))}
      <label className="beginning">
        <span className="small quiet">or a file that was exported</span>
        <input type="file" accept="application/json,.json" aria-label="A file that was exported" onChange={(event) => void read(event.currentTarget.files?.[0])} />
      </label>
      {problem !== null && (
        <p className="problem small" role="alert">
          {problem}
        </p>
      )}
    </fieldset>
  );
}

function NewBoard({ session, onClose }: { session: Session; onClose: () => void }) {
  const changes = useBoardChange(session);
  const [beginning, setBeginning] = useState<{ name: string; content: BoardContent }>({ name: "Empty", content: { name: "", tiles: [] } });
  const [name, setName] = useState("");
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    changes.make({ what: "create", content: { ...beginning.content, name: name.trim() } }, (board) => {
      if (board !== null) goTo(open(board.id));
    });
  };
  return (
    <Drawer title="New dashboard" onClose={onClose}>
      <form className="board-form" onSubmit={submit}>
        <Beginnings
          chosen={beginning.name}
          onChoose={(chosen, content) => {
            // A name that somebody typed stays.
            if (name === "" || name === beginning.content.name) setName(content.name);
            setBeginning({ name: chosen, content });
            changes.forgetError();
          }}
        />
        <TextInput
          label="Name"
          required
          withAsterisk={false}
          maxLength={100}
          value={name}
          onChange={(event) => {
            setName(event.currentTarget.value);
          }}
        />
        <AdminKey session={session} changes={changes} what="dashboards" kept="in the memory of this tab until it is reloaded" />
        <Button type="submit" loading={changes.busy}>
          Make it
        </Button>
      </form>
    </Drawer>
  );
}

/** Every dashboard of the app, and the way to a new one. */
export function BoardList({ session, onDisconnect }: PageProps) {
  const { boards, error, retry } = useBoards(session);
  const [making, setMaking] = useState(false);
  const make = (
    <Button
      size="xs"
      onClick={() => {
        setMaking(true);
      }}
    >
      New dashboard
    </Button>
  );
  return (
    <Page title="Dashboards" about="Questions side by side, always as they are now" end={make}>
      {error !== null && <Failure error={error} onRetry={retry} onDisconnect={onDisconnect} />}
      {error === null && boards === undefined && <Bone height={120} />}
      {boards?.length === 0 && (
        <Message title="No dashboards yet">
          <p className="quiet">A dashboard keeps questions side by side and shows their answers as they change. Begin with a template, or with “Add to dashboard” on any page.</p>
          {make}
        </Message>
      )}
      {boards !== undefined && boards.length > 0 && <Rows boards={boards} />}
      {making && (
        <NewBoard
          session={session}
          onClose={() => {
            setMaking(false);
          }}
        />
      )}
    </Page>
  );
}
