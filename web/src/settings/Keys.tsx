import { Button, NativeSelect } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type SyntheticEvent, useState } from "react";

import { asApiError } from "../api/client.ts";
import type { PageProps } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Failure } from "../ui/Failure.tsx";
import { useNow } from "../ui/useNow.ts";
import { Confirm } from "./Confirm.tsx";
import { Problem } from "./Problem.tsx";
import { KEY_IS_FOR, Secret } from "./Secret.tsx";
import { type Key, type KeyKind, askKeys, makeKey, revokeKey, rotateKey } from "./calls.ts";
import { ago, shortTime } from "./time.ts";
import { useDo } from "./useDo.ts";

const KINDS: KeyKind[] = ["write", "read", "admin"];

/** True where a key opens something at `now`. */
const isOpen = (key: Key, now: number) => key.revoked_at === null || Date.parse(key.revoked_at) > now;

function Row({ row, now, onRotate, onRevoke }: { row: Key; now: number; onRotate: () => void; onRevoke: () => void }) {
  const open = isOpen(row, now);
  return (
    <tr data-gone={!open}>
      <th scope="row">
        <code>{row.key_id}</code>
        <span className="small quiet">
          {row.kind}, made {shortTime(row.created_at)}
        </span>
      </th>
      <td className="small">
        {row.last_used_at === null ? "never used" : `used ${ago(row.last_used_at, now)}`}
        {row.revoked_at !== null && <span className="quiet"> · {open ? `ends ${shortTime(row.revoked_at)}` : `revoked ${shortTime(row.revoked_at)}`}</span>}
      </td>
      <td className="settings-actions">
        {row.revoked_at === null && (
          <Confirm name="Rotate" about={`A new ${row.kind} key takes its place. The old one goes on working for 24 hours.`} onConfirm={onRotate} />
        )}
        {open && <Confirm name="Revoke" about="It opens nothing from then on, and does not come back." danger onConfirm={onRevoke} />}
      </td>
    </tr>
  );
}

/** The keys of the app: made, replaced and revoked. */
export function Keys({ session, onDisconnect }: PageProps) {
  const stale = ["keys", session.app];
  const now = useNow(60_000);
  const [kind, setKind] = useState<KeyKind>("write");
  const { data: keys, error } = useQuery({ queryKey: stale, queryFn: () => askKeys(session.app) });
  const make = useDo((wanted: KeyKind) => makeKey(session.app, wanted), stale);
  const rotate = useDo((key: string) => rotateKey(session.app, key), stale);
  const revoke = useDo((key: string) => revokeKey(session.app, key), stale);
  if (error !== null) return <Failure error={asApiError(error)} onDisconnect={onDisconnect} />;
  const made = make.made ?? rotate.made;
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    rotate.reset();
    make.run(kind);
  };
  return (
    <>
      {made !== undefined && (
        <section className="panel settings-form" aria-label="The new key">
          <Secret kind={made.kind} secret={made.key} />
        </section>
      )}
      <form className="panel settings-line" onSubmit={submit}>
        <NativeSelect label="A new key" description={KEY_IS_FOR[kind]} data={KINDS} value={kind} onChange={(event) => { setKind(KINDS.find((known) => known === event.currentTarget.value) ?? kind); }} />
        <Button type="submit" size="sm" loading={make.busy}>
          Make a key
        </Button>
      </form>
      <Problem error={make.error ?? rotate.error ?? revoke.error} />
      {keys === undefined ? (
        <Bone height={160} />
      ) : (
        <section className="panel settings-list" aria-label="Keys">
          <table>
            <tbody>
              {keys.toReversed().map((row) => (
                <Row
                  key={row.key_id}
                  row={row}
                  now={now}
                  onRotate={() => {
                    make.reset();
                    rotate.run(row.key_id);
                  }}
                  onRevoke={() => {
                    revoke.run(row.key_id);
                  }}
                />
              ))}
            </tbody>
          </table>
        </section>
      )}
    </>
  );
}
