import { Button } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";

import { useAdminKey } from "../adminKey.ts";
import { AdminKey } from "../cohorts/AdminKey.tsx";
import { momentLabel } from "../charts/time.ts";
import { fullNumber } from "../format.ts";
import type { Session } from "../session.ts";
import { Bone } from "../ui/Bone.tsx";
import { Link } from "../ui/Link.tsx";
import { Message } from "../ui/Message.tsx";
import { type AskedReceipt, type Receipt as ReceiptAnswer, useReceipt, wantsOwner } from "./deletion.ts";

const STATES: Record<ReceiptAnswer["state"], string> = {
  rewriting: "Hidden from every answer. The files are being written again without this person.",
  blocked: "Hidden from every answer. Something stands in the way of removing the last of it.",
  finished: "Gone from every answer and from the files.",
};

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt className="quiet">{name}</dt>
      <dd className="any-text">{children}</dd>
    </div>
  );
}

function ReceiptFacts({ receipt }: { receipt: ReceiptAnswer }) {
  return (
    <section className="panel receipt" aria-label="Receipt">
      <h2>{receipt.state === "finished" ? "Deleted" : "Being deleted"}</h2>
      <p role="status">{STATES[receipt.state]}</p>
      {receipt.blocked.map((reason) => (
        <p key={reason} className="problem small">
          {reason}
        </p>
      ))}
      <dl className="person-values">
        <Fact name="Receipt">
          <code>{receipt.deletion_id}</code>
        </Fact>
        <Fact name="Asked for">{momentLabel(receipt.requested_at)} UTC</Fact>
        <Fact name="Finished">{receipt.finished_at === null ? "not yet" : `${momentLabel(receipt.finished_at)} UTC`}</Fact>
        <Fact name="Events hidden">{fullNumber(receipt.rows)}</Fact>
        {receipt.rejected_events > 0 && <Fact name="Refused events deleted">{fullNumber(receipt.rejected_events)}</Fact>}
        <Fact name="Segments written again">
          {fullNumber(receipt.segments_rewritten)} of {fullNumber(receipt.segments)}
        </Fact>
        {receipt.days_to_recount > 0 && <Fact name="Days to count again">{fullNumber(receipt.days_to_recount)}</Fact>}
        {receipt.log_until !== null && <Fact name="In the event log until">{momentLabel(receipt.log_until)} UTC</Fact>}
        <Fact name="Later events">{receipt.later_events === "refuse" ? "refused" : "accepted, as those of a new person"}</Fact>
        <Fact name="Person, as SHA-256">
          <code>{receipt.person_sha256}</code>
        </Fact>
        {receipt.linked_sha256.length > 0 && (
          <Fact name="Linked ids, as SHA-256">
            <code>{receipt.linked_sha256.slice(0, 100).join(" ")}</code>
          </Fact>
        )}
        {receipt.receipt_sha256 !== null && (
          <Fact name="Receipt, as SHA-256">
            <code>{receipt.receipt_sha256}</code>
          </Fact>
        )}
      </dl>
      <p className="small quiet">Keep this address: the receipt names the person by hash only.</p>
    </section>
  );
}

/** A receipt is for those who may delete: asks for the key that shows it. */
function KeyForm({ session, asked }: { session: Session; asked: AskedReceipt }) {
  const [adminKey, onAdminKey] = useAdminKey(session.app);
  const changes = { adminKey, onAdminKey, error: asked.asking ? null : asked.error, forgetError: () => undefined };
  return (
    <form
      className="panel receipt"
      onSubmit={(event) => {
        event.preventDefault();
        asked.retry();
      }}
    >
      <h2>The receipt of a deletion</h2>
      <AdminKey session={session} changes={changes} what="this app" kept="in the memory of this tab until it is reloaded" />
      <div className="buttons">
        <Button type="submit" size="xs" loading={asked.asking} disabled={session.key !== null && adminKey.trim() === ""}>
          Show it
        </Button>
      </div>
    </form>
  );
}

/** How far a deletion is. */
export function Receipt({ session, id }: { session: Session; id: string }) {
  const [adminKey] = useAdminKey(session.app);
  // A key that is being typed is not tried letter by letter: the one that was there when the page opened is, and then the one that is sent.
  const [wanted] = useState(!wantsOwner(session) && (session.key === null || adminKey.trim() !== ""));
  const asked = useReceipt(session, id, wanted);
  const queries = useQueryClient();
  useEffect(() => {
    // Answers from before may still hold the person.
    queries.removeQueries({ type: "inactive" });
  }, [queries]);
  return (
    <>
      <Link className="link small person-back" href="/people">
        All people
      </Link>
      {wantsOwner(session) ? (
        <Message title="Only an owner may see this">
          <p className="quiet">Receipts of deletions are for owners of the app. Your role is {session.role ?? "not known"}.</p>
        </Message>
      ) : asked.receipt !== undefined ? (
        <ReceiptFacts receipt={asked.receipt} />
      ) : asked.error === null && asked.asking ? (
        <Bone height={240} />
      ) : (
        <KeyForm session={session} asked={asked} />
      )}
    </>
  );
}
