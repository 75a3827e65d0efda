import { Button } from "@mantine/core";
import type { ReactNode } from "react";

import type { ApiError } from "../api/client.ts";

/** A shape of the final size, shown only when loading takes longer than 200 ms. */
export function Skeleton({ height }: { height: number }) {
  return <div className="skeleton" style={{ height }} aria-hidden="true" />;
}

/** What a page shows in place of numbers: what this is, and the one thing to do. */
export function StateMessage({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="panel state" role="status">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/** What failed and the way out. */
export function ErrorMessage({ error, onRetry, onDisconnect }: { error: ApiError; onRetry?: () => void; onDisconnect: () => void }) {
  const refused = error.status === 401 || error.status === 403;
  return (
    <StateMessage title={refused ? "This key may not read this app" : "No answer"}>
      <p>
        {error.message}
        {error.field !== undefined && (
          <>
            {" "}
            (<code>{error.field}</code>)
          </>
        )}
      </p>
      {refused ? (
        <Button variant="light" onClick={onDisconnect}>
          Use another key
        </Button>
      ) : (
        onRetry !== undefined && (
          <Button variant="light" onClick={onRetry}>
            Try again
          </Button>
        )
      )}
    </StateMessage>
  );
}
