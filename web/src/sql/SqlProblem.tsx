import { Button } from "@mantine/core";

import type { ApiError } from "../api/client.ts";
import { Failure } from "../ui/Failure.tsx";
import { lineAt, positionIn } from "./problem.ts";

interface SqlProblemProps {
  error: ApiError;
  /** The statement that failed. */
  sql: string;
  onRetry: () => void;
  onDisconnect: () => void;
  /** Puts the cursor there. */
  onShow: () => void;
}

/** Why a statement was not answered, with the line and the place where it cannot be read. */
export function SqlProblem({ error, sql, onRetry, onDisconnect, onShow }: SqlProblemProps) {
  const position = positionIn(error.message);
  const line = position === null ? null : lineAt(sql, position);
  return (
    <Failure error={error} onRetry={onRetry} onDisconnect={onDisconnect}>
      {position !== null && line !== null && (
        <>
          <pre className="sql-problem" aria-label={`Line ${position.line}`}>
            <span className="quiet">{position.line} </span>
            {line.before}
            <mark>{line.after === "" ? " " : line.after}</mark>
          </pre>
          <Button variant="default" size="xs" onClick={onShow}>
            Go there
          </Button>
        </>
      )}
    </Failure>
  );
}
