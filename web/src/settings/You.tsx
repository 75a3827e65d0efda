import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type SyntheticEvent, useState } from "react";

import { type Account, askMe } from "../accounts/calls.ts";
import type { Entry } from "../accounts/useEntry.ts";
import { asApiError } from "../api/client.ts";
import { Bone } from "../ui/Bone.tsx";
import { Failure } from "../ui/Failure.tsx";
import { Confirm } from "./Confirm.tsx";
import { Problem } from "./Problem.tsx";
import { askLogins, changePassword, endLogin, rename } from "./calls.ts";
import { browserName, shortTime } from "./time.ts";
import { useDo } from "./useDo.ts";

function Name({ account, entry }: { account: Account; entry: Entry }) {
  const [name, setName] = useState(account.name);
  const save = useDo((wanted: string) => rename(wanted), ["me"]);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    save.run(name, () => {
      void askMe().then((me) => { entry.enter(me); });
    });
  };
  return (
    <form className="panel settings-form" onSubmit={submit}>
      <p className="small quiet">{account.email}</p>
      <TextInput label="Your name" required withAsterisk={false} maxLength={255} autoComplete="name" value={name} onChange={(event) => { setName(event.currentTarget.value); }} />
      <Problem error={save.error} />
      <div className="buttons">
        <Button type="submit" size="xs" disabled={name.trim() === account.name} loading={save.busy}>
          Save
        </Button>
      </div>
    </form>
  );
}

function Password({ email }: { email: string }) {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const save = useDo((wanted: { current: string; next: string }) => changePassword(wanted.current, wanted.next), ["logins"]);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    save.run({ current, next }, () => {
      setCurrent("");
      setNext("");
    });
  };
  const refusalOf = (field: string) => (save.error?.field === field ? save.error.message : undefined);
  return (
    <form className="panel settings-form" onSubmit={submit}>
      <h2>Password</h2>
      <input type="text" className="screen-reader-only" autoComplete="username" value={email} readOnly tabIndex={-1} aria-hidden="true" />
      <PasswordInput label="Current password" required withAsterisk={false} autoComplete="current-password" value={current} error={refusalOf("current_password")} onChange={(event) => { setCurrent(event.currentTarget.value); }} />
      <PasswordInput label="New password" description="At least 12 characters. Every other login ends." required withAsterisk={false} minLength={12} autoComplete="new-password" value={next} error={refusalOf("new_password")} onChange={(event) => { setNext(event.currentTarget.value); }} />
      {save.error?.field === undefined && <Problem error={save.error} />}
      <div className="buttons">
        <Button type="submit" size="xs" loading={save.busy}>
          Change the password
        </Button>
        {save.made !== undefined && (
          <span className="small quiet" role="status">
            Changed
          </span>
        )}
      </div>
    </form>
  );
}

function Logins({ onDisconnect }: { onDisconnect: () => void }) {
  const { data: logins, error } = useQuery({ queryKey: ["logins"], queryFn: askLogins });
  const end = useDo(endLogin, ["logins"]);
  if (error !== null) return <Failure error={asApiError(error)} onDisconnect={onDisconnect} />;
  if (logins === undefined) return <Bone height={120} />;
  return (
    <section className="panel settings-list" aria-label="Logins">
      <h2>Where you are logged in</h2>
      <Problem error={end.error} />
      <table>
        <tbody>
          {logins.map((login) => (
            <tr key={login.login_id}>
              <th scope="row" title={login.agent}>
                {browserName(login.agent)}
                {login.current && " (this one)"}
                <span className="small quiet">since {shortTime(login.created_at)}</span>
              </th>
              <td className="small">used {shortTime(login.last_used_at)}</td>
              <td className="settings-actions">{!login.current && <Confirm name="End" about="It has to log in again." danger onConfirm={() => { end.run(login.login_id); }} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** The own name, password and logins. */
export function You({ entry, onDisconnect }: { entry: Entry; onDisconnect: () => void }) {
  if (entry.who.kind !== "login") return null;
  const { account } = entry.who.me;
  return (
    <>
      <div className="halves">
        <Name account={account} entry={entry} />
        <Password email={account.email} />
      </div>
      <Logins onDisconnect={onDisconnect} />
    </>
  );
}
