import { PasswordInput } from "@mantine/core";

import type { Changes } from "./useChange.ts";

/** The key that a change takes: the one of the tab only reads, and no page keeps one that may do more. */
export function AdminKey({ app, changes, what = "cohorts", kept = "in the memory of this page until you leave it" }: { app: string; changes: Pick<Changes, "adminKey" | "onAdminKey" | "error" | "forgetError">; what?: string; kept?: string }) {
  const { adminKey, onAdminKey, error, forgetError } = changes;
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
        The key of this tab only reads. <code>throng app add-key {app} --kind admin --data DIR</code> shows one that may change {what}. It stays {kept}.
      </p>
    </div>
  );
}
