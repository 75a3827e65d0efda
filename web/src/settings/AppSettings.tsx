import { Autocomplete, Button, NativeSelect, NumberInput, Switch, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type SyntheticEvent, useState } from "react";

import { askMe } from "../accounts/calls.ts";
import { useWho } from "../accounts/entry.ts";
import { asApiError, ask } from "../api/client.ts";
import type { PageProps, Session } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Failure } from "../ui/Failure.tsx";
import { Problem } from "./Problem.tsx";
import { type Settings, type SettingsChange, changeSettings } from "./calls.ts";
import { useDo } from "./useDo.ts";

const DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"].map((value) => ({ value, label: value.charAt(0).toUpperCase() + value.slice(1) }));
export const TIMEZONES: string[] = ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")];
const DEFAULT_RETENTION_DAYS = 730;

/** What of `now` differs from `before`. */
export function changeOf(before: Settings, now: Settings): SettingsChange {
  const change: SettingsChange = {};
  if (now.name.trim() !== before.name) change.name = now.name.trim();
  if (now.timezone !== before.timezone) change.timezone = now.timezone;
  if (now.week_start !== before.week_start) change.week_start = now.week_start;
  if (now.raw_retention_days !== before.raw_retention_days) change.raw_retention_days = now.raw_retention_days;
  return change;
}

function Retention({ days, disabled, onDays }: { days: number | null; disabled: boolean; onDays: (days: number | null) => void }) {
  return (
    <div className="settings-retention">
      <Switch
        label="Keep raw events for ever"
        disabled={disabled}
        checked={days === null}
        onChange={(event) => {
          onDays(event.currentTarget.checked ? null : DEFAULT_RETENTION_DAYS);
        }}
      />
      {days !== null && (
        <NumberInput
          label="Days raw events are kept"
          description="What is older is dropped for good. Daily counts stay."
          min={1}
          max={36_500}
          allowDecimal={false}
          disabled={disabled}
          value={days}
          onChange={(value) => {
            if (typeof value === "number") onDays(value);
          }}
        />
      )}
    </div>
  );
}

function Form({ session, saved }: { session: Session; saved: Settings }) {
  const [settings, setSettings] = useState(saved);
  const entry = useWho();
  const save = useDo((change: SettingsChange) => changeSettings(session.app, change), ["settings", session.app]);
  const readOnly = session.key !== null || session.role !== "owner";
  const change = changeOf(saved, settings);
  const unchanged = Object.keys(change).length === 0;
  const set = (part: Partial<Settings>) => {
    save.reset();
    setSettings({ ...settings, ...part });
  };
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    save.run(change, (now) => {
      setSettings(now);
      // The name also stands in the bar.
      void askMe().then((me) => {
        entry.enter(me);
      });
    });
  };
  return (
    <form className="panel settings-form" onSubmit={submit}>
      <TextInput label="Name" required withAsterisk={false} maxLength={255} disabled={readOnly} value={settings.name} onChange={(event) => { set({ name: event.currentTarget.value }); }} />
      <Autocomplete label="Time zone" description="Days, weeks and months are cut in it, those of the past too." data={TIMEZONES} limit={40} disabled={readOnly} value={settings.timezone} onChange={(timezone) => { set({ timezone }); }} />
      <NativeSelect label="First day of the week" data={DAYS} disabled={readOnly} value={settings.week_start} onChange={(event) => { set({ week_start: event.currentTarget.value }); }} />
      <Retention days={settings.raw_retention_days} disabled={readOnly} onDays={(raw_retention_days) => { set({ raw_retention_days }); }} />
      <p className="small quiet">
        App id <code>{saved.app_id}</code>
      </p>
      <Problem error={save.error} />
      {!readOnly && (
        <div className="buttons">
          <Button type="submit" size="xs" disabled={unchanged} loading={save.busy}>
            Save
          </Button>
          {save.made !== undefined && unchanged && (
            <span className="small quiet" role="status">
              Saved
            </span>
          )}
        </div>
      )}
      {readOnly && session.role !== undefined && <p className="small quiet">Owners of the app change its settings; your role is {session.role}.</p>}
    </form>
  );
}

/** Name, time zone, week and retention of the app. */
export function AppSettings({ session, onDisconnect }: PageProps) {
  const { data, error } = useQuery({ queryKey: ["settings", session.app], queryFn: ({ signal }) => ask<Settings>(session, "settings", undefined, signal) });
  if (error !== null) return <Failure error={asApiError(error)} onDisconnect={onDisconnect} />;
  if (data === undefined) return <Bone height={360} />;
  return <Form session={session} saved={data} />;
}
