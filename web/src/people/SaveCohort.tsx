import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type SyntheticEvent, useState } from "react";

import { type ApiError, asApiError, ask } from "../api/client.ts";
import type { Session } from "../session.ts";

/** Who is in a cohort: a list as it is now, or a rule that is evaluated whenever it is asked about. */
export type Members = { persons: string[] } | { rule: unknown };

interface SaveCohortProps {
  session: Session;
  /** A name to begin with. */
  name: string;
  /** What is saved, in words. */
  about: string;
  members: () => Promise<Members> | Members;
}

/** True where the key may ask and may not change: another key helps. */
const wantsAdminKey = (error: ApiError | null) => error?.code === "wrong_key_kind";

/** Saves persons as a cohort. Where the key of this tab may only read, it asks for one that may, and forgets it after. */
export function SaveCohort({ session, name: suggested, about, members }: SaveCohortProps) {
  const [name, setName] = useState(suggested);
  const [adminKey, setAdminKey] = useState("");
  const queries = useQueryClient();
  const save = useMutation({
    mutationFn: async () => {
      const key = adminKey.trim() === "" ? session.key : adminKey.trim();
      return ask<{ id: string; name: string }>({ ...session, key }, "cohorts", { name: name.trim(), ...(await members()) });
    },
    onSuccess: () => {
      setAdminKey("");
      void queries.invalidateQueries({ queryKey: ["cohorts", session.app] });
    },
  });
  const error = save.error === null ? null : asApiError(save.error);
  const [keyWanted, setKeyWanted] = useState(false);
  if (wantsAdminKey(error) && !keyWanted) setKeyWanted(true);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    save.mutate();
  };
  if (save.data !== undefined) {
    return (
      <p className="save-cohort small" role="status">
        Saved as <strong>{save.data.name}</strong>. A question takes it as <code>{`"segment": "${save.data.id}"`}</code>.
      </p>
    );
  }
  return (
    <details className="disclosure save-cohort">
      <summary>Save as a cohort</summary>
      <form onSubmit={submit}>
        <p className="quiet small">{about}</p>
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
        {keyWanted && (
          <PasswordInput
            label="Admin key"
            description="The key of this tab reads and cannot change anything. This one is used once and not kept."
            placeholder="ak_..."
            required
            withAsterisk={false}
            autoComplete="off"
            value={adminKey}
            error={adminKey !== "" && error !== null ? error.message : undefined}
            onChange={(event) => {
              setAdminKey(event.currentTarget.value);
              save.reset();
            }}
          />
        )}
        {error !== null && !keyWanted && (
          <p className="problem small" role="alert">
            {error.message}
          </p>
        )}
        <Button type="submit" size="xs" loading={save.isPending}>
          Save
        </Button>
      </form>
    </details>
  );
}
