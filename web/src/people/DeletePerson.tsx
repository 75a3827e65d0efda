import { Button, Switch, TextInput } from "@mantine/core";
import { type SyntheticEvent, useState } from "react";

import { AdminKey } from "../cohorts/AdminKey.tsx";
import { fullNumber } from "../format.ts";
import type { Session } from "../session.ts";
import { Drawer } from "../ui/Drawer.tsx";
import { useDeletion, wantsOwner } from "./deletion.ts";
import type { About } from "./statements.ts";

interface DeletePersonProps {
  session: Session;
  /** The id that stands for the person. */
  person: string;
  about: About | undefined;
  onDone: (deletion: string) => void;
  onClose: () => void;
}

function Form({ session, person, onDone, onClose }: Omit<DeletePersonProps, "about">) {
  const deleting = useDeletion(session, person);
  const [typed, setTyped] = useState("");
  const [accept, setAccept] = useState(false);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (typed !== person) return;
    deleting.run(accept ? "accept" : "refuse", ({ deletion_id: id }) => {
      onDone(id);
    });
  };
  return (
    <form className="person-deletion" onSubmit={submit}>
      <Switch
        label="Accept later events under these ids, as those of a new person. Otherwise they are refused."
        checked={accept}
        onChange={(event) => {
          setAccept(event.currentTarget.checked);
        }}
      />
      <AdminKey session={session} changes={deleting} what="this app" kept="in the memory of this tab until it is reloaded" />
      <TextInput
        label="Type the id to confirm"
        autoComplete="off"
        spellCheck={false}
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          deleting.forgetError();
        }}
      />
      <div className="buttons">
        <Button type="submit" size="xs" color="red" disabled={typed !== person} loading={deleting.busy}>
          Delete for good
        </Button>
        <Button variant="default" size="xs" onClick={onClose}>
          Keep this person
        </Button>
      </div>
    </form>
  );
}

/** Says what goes, lets one type the id, and deletes. */
export function DeletePerson({ about, ...props }: DeletePersonProps) {
  const { session, person, onClose } = props;
  const others = about?.ids.filter(({ id, events }) => id !== person && events > 0) ?? [];
  return (
    <Drawer title="Delete this person" onClose={onClose}>
      <p>
        <strong className="any-text">{person}</strong> and {about === undefined ? "all their events" : about.events === 1 ? "their one event" : `their ${fullNumber(about.events)} events`} are hidden from every answer at once, and then removed from the files. This cannot be undone.
      </p>
      {others.length > 0 && (
        <p className="any-text">
          With them go the events of {others.length === 1 ? "this linked id" : `${fullNumber(others.length)} linked ids`}: {others.slice(0, 10).map(({ id }) => id).join(", ")}
          {others.length > 10 && " and more"}. Whoever sends events can link ids: see that they are this person&rsquo;s.
        </p>
      )}
      <p className="small quiet">Backups and exported files are yours to delete. A list of ids in a saved cohort keeps the id until it is changed.</p>
      {wantsOwner(session) ? <p role="status">Only an owner of this app may delete a person. Your role is {session.role ?? "not known"}.</p> : <Form {...props} />}
    </Drawer>
  );
}
