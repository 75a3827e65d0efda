import { Autocomplete, Button, TextInput } from "@mantine/core";
import { type SyntheticEvent, useState } from "react";

import { askMe } from "../accounts/calls.ts";
import type { Entry } from "../accounts/useEntry.ts";
import { goTo } from "../location.ts";
import { TIMEZONES } from "./AppSettings.tsx";
import { Problem } from "./Problem.tsx";
import { Secret } from "./Secret.tsx";
import { makeApp } from "./calls.ts";
import { useDo } from "./useDo.ts";

/** Makes an app, and shows its keys this once. */
export function NewApp({ entry }: { entry: Entry }) {
  const [name, setName] = useState("");
  const [timezone, setTimezone] = useState(() => Intl.DateTimeFormat().resolvedOptions().timeZone);
  const make = useDo((wanted: { name: string; timezone: string }) => makeApp(wanted.name, wanted.timezone), ["apps"]);
  const made = make.made;
  if (made !== undefined) {
    const open = async () => {
      const me = await askMe();
      goTo("/");
      entry.enter(me, made.app_id);
    };
    return (
      <section className="panel settings-form" aria-label="The new app">
        <h2>{made.name} is there</h2>
        <Secret kind="write" secret={made.write_key} />
        <Secret kind="read" secret={made.read_key} />
        <div className="buttons">
          <Button size="xs" onClick={() => void open()}>
            Open it
          </Button>
        </div>
      </section>
    );
  }
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    make.run({ name, timezone });
  };
  return (
    <form className="panel settings-form" onSubmit={submit}>
      <TextInput label="Name" required withAsterisk={false} maxLength={255} value={name} onChange={(event) => { setName(event.currentTarget.value); }} />
      <Autocomplete label="Time zone" data={TIMEZONES} limit={40} required withAsterisk={false} value={timezone} onChange={setTimezone} />
      <Problem error={make.error} />
      <div className="buttons">
        <Button type="submit" size="xs" loading={make.busy}>
          Make the app
        </Button>
      </div>
    </form>
  );
}
