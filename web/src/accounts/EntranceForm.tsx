import { Button } from "@mantine/core";
import { type ReactNode, type SyntheticEvent, useEffect, useState } from "react";

import { type ApiError, asApiError } from "../api/client.ts";

interface EntranceFormProps {
  title: string;
  about?: ReactNode;
  submit: string;
  /** What sending does; a refusal is shown. */
  onSubmit: () => Promise<void>;
  children: (error: ApiError | null) => ReactNode;
  end?: ReactNode;
}

/** The one form of a page without a frame. */
export function EntranceForm({ title, about, submit, onSubmit, children, end }: EntranceFormProps) {
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = `${title} · Throng`;
  }, [title]);
  const send = async (event: SyntheticEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await onSubmit();
    } catch (failure) {
      setError(asApiError(failure));
      setBusy(false);
    }
  };
  return (
    <main>
      <form className="panel connect" onSubmit={(event) => void send(event)}>
        <h1>
          <img src="/icon.svg" alt="" />
          {title}
        </h1>
        {about !== undefined && <div className="quiet">{about}</div>}
        {children(error)}
        {error !== null && error.field === undefined && (
          <p className="problem small" role="alert">
            {error.message}
          </p>
        )}
        <Button type="submit" loading={busy}>
          {submit}
        </Button>
        {end}
      </form>
    </main>
  );
}
