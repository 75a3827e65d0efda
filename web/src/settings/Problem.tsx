import type { ApiError } from "../api/client.ts";

/** Why the last change was refused. */
export function Problem({ error }: { error: ApiError | null }) {
  return (
    error !== null && (
      <p className="problem small" role="alert">
        {error.message}
      </p>
    )
  );
}
