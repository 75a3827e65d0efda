import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type SyntheticEvent, useState } from "react";

import { askMe } from "../accounts/calls.ts";
import type { Entry } from "../accounts/useEntry.ts";
import { asApiError } from "../api/client.ts";
import type { PageProps, Role, Session } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Failure } from "../ui/Failure.tsx";
import { Snippet } from "../ui/Snippet.tsx";
import { Confirm } from "./Confirm.tsx";
import { Problem } from "./Problem.tsx";
import { type Invitation, type Member, askInvitations, askMembers, changeRole, invite, removeMember, takeBack } from "./calls.ts";
import { shortTime } from "./time.ts";
import { useDo } from "./useDo.ts";

const ROLES: Role[] = ["viewer", "editor", "owner"];
const MAY: Record<Role, string> = {
  viewer: "Asks questions.",
  editor: "Also saves cohorts, metrics, funnels and dashboards.",
  owner: "Also changes settings, keys and members, and deletes persons.",
};

const roleNamed = (name: string, otherwise: Role): Role => ROLES.find((role) => role === name) ?? otherwise;

/** Makes an invitation and shows its link this once. */
function Invite({ session }: { session: Session }) {
  const [role, setRole] = useState<Role>("viewer");
  const [note, setNote] = useState("");
  const make = useDo((wanted: { role: Role; note: string }) => invite(session.app, wanted.role, wanted.note), ["invitations", session.app]);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    make.run({ role, note });
  };
  return (
    <>
      <form className="panel settings-line" onSubmit={submit}>
        <TextInput label="Invite" description="A note, so that you know it again." placeholder="Bob" maxLength={200} value={note} onChange={(event) => { setNote(event.currentTarget.value); }} />
        <NativeSelect label="Role" description={MAY[role]} data={ROLES} value={role} onChange={(event) => { setRole(roleNamed(event.currentTarget.value, role)); }} />
        <Button type="submit" size="sm" loading={make.busy}>
          Make a link
        </Button>
      </form>
      <Problem error={make.error} />
      {make.made !== undefined && (
        <section className="panel settings-form" aria-label="The invitation">
          <p className="small quiet">Give this link to the person you invite. It works once, for 7 days, and is shown this once.</p>
          <Snippet label="The invitation's link" text={`${window.location.origin}/invitation#token=${make.made.token}`} />
        </section>
      )}
    </>
  );
}

function Invitations({ session }: { session: Session }) {
  const stale = ["invitations", session.app];
  const { data: open } = useQuery({ queryKey: stale, queryFn: () => askInvitations(session.app) });
  const revoke = useDo((invitation: string) => takeBack(session.app, invitation), stale);
  if (open === undefined || open.length === 0) return null;
  return (
    <section className="panel settings-list" aria-label="Open invitations">
      <h2>Open invitations</h2>
      <Problem error={revoke.error} />
      <table>
        <tbody>
          {open.map((invitation: Invitation) => (
            <tr key={invitation.invitation_id}>
              <th scope="row">
                {invitation.note === "" ? "Without a note" : invitation.note}
                <span className="small quiet">by {invitation.invited_by}</span>
              </th>
              <td className="small">
                {invitation.role} <span className="quiet">· until {shortTime(invitation.expires_at)}</span>
              </td>
              <td className="settings-actions">
                <Confirm name="Take back" about="The link opens nothing from then on." danger onConfirm={() => { revoke.run(invitation.invitation_id); }} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

interface RowProps {
  member: Member;
  own: boolean;
  onRole: (role: Role) => void;
  onRemove: () => void;
}

function Row({ member, own, onRole, onRemove }: RowProps) {
  return (
    <tr>
      <th scope="row">
        {member.name}
        {own && " (you)"}
        <span className="small quiet">{member.email}</span>
      </th>
      <td>
        <NativeSelect aria-label={`Role of ${member.name}`} size="xs" data={ROLES} value={member.role} onChange={(event) => { onRole(roleNamed(event.currentTarget.value, member.role)); }} />
      </td>
      <td className="settings-actions">
        <Confirm name="Remove" about={`${member.name} has no role on this app from then on.`} danger onConfirm={onRemove} />
      </td>
    </tr>
  );
}

/** Who may do what in the app, and who is asked to join. */
export function Members({ session, entry, onDisconnect }: PageProps & { entry: Entry }) {
  const stale = ["members", session.app];
  const { data: members, error } = useQuery({ queryKey: stale, queryFn: () => askMembers(session.app) });
  const change = useDo(({ account, role }: { account: string; role: Role }) => changeRole(session.app, account, role), stale);
  const remove = useDo((account: string) => removeMember(session.app, account), stale);
  if (error !== null) return <Failure error={asApiError(error)} onDisconnect={onDisconnect} />;
  const own = entry.who.kind === "login" ? entry.who.me.account.account_id : "";
  // Who takes their own role away sees the app as what they are then.
  const after = (account: string) => () => {
    if (account === own) void askMe().then((me) => { entry.enter(me); });
  };
  return (
    <>
      <Invite session={session} />
      <Invitations session={session} />
      <Problem error={change.error ?? remove.error} />
      {members === undefined ? (
        <Bone height={160} />
      ) : (
        <section className="panel settings-list" aria-label="Members">
          <h2>Members</h2>
          <table>
            <tbody>
              {members.map((member) => (
                <Row
                  key={member.account_id}
                  member={member}
                  own={member.account_id === own}
                  onRole={(role) => {
                    change.run({ account: member.account_id, role }, after(member.account_id));
                  }}
                  onRemove={() => {
                    remove.run(member.account_id, after(member.account_id));
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
