import { PasswordInput } from "@mantine/core";

import { type Session, mayEdit } from "../session.ts";
import type { Changes } from "./useChange.ts";

interface AdminKeyProps {
  session: Session;
  changes: Pick<Changes, "adminKey" | "onAdminKey" | "error" | "forgetError">;
  /** What is changed with it. */
  what?: string;
  /** Where the key stays, and how long. */
  kept?: string;
}

/** What a change takes: the role of who is logged in, or a key, since the one of the tab only reads, and no page keeps one that may do more. */
export function AdminKey({ session, changes, what = "cohorts", kept = "in the memory of this page until you leave it" }: AdminKeyProps) {
  const { adminKey, onAdminKey, error, forgetError } = changes;
  if (session.key === null) {
    if (error === null && mayEdit(session)) return null;
    return (
      <p className={error === null ? "small quiet" : "problem small"} role={error === null ? undefined : "alert"}>
        {error?.message ?? "Your role on this app is viewer: an owner can make you an editor."}
      </p>
    );
  }
  return (
    <div className="admin-key">
      <PasswordInput
        label="Admin key"
        placeholder="ak_..."
        autoComplete="off"
        required
        withAsterisk={false}
        value={adminKey}
        error={error === null ? undefined : error.message}
        onChange={(event) => {
          onAdminKey(event.currentTarget.value);
          forgetError();
        }}
      />
      <p className="small quiet">
        The key of this tab only reads. <code>throng app add-key {session.app} --kind admin --data DIR</code> shows one that may change {what}. It stays {kept}.
      </p>
    </div>
  );
}
