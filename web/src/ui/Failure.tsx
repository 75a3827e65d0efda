import { Button } from "@mantine/core";
import { type ReactNode, useContext } from "react";

import { EntryContext } from "../accounts/entry.ts";
import type { ApiError } from "../api/client.ts";
import { Message } from "./Message.tsx";

function titleOf(error: ApiError, login: boolean): string {
  if (error.code === "logged_out" || error.code === "not_logged_in") return "You are logged out";
  if (error.code === "role_too_low") return "Your role is not enough for this";
  if (login && error.status === 403) return "You may not open this app";
  if (error.status === 401) return "This key is not known";
  if (error.status === 403) return "This key may not read this app";
  if (error.status === 400) return "The question cannot be asked like this";
  if (error.status === 422) return "The question is too large";
  if (error.status === 503) return "The server is busy";
  return error.status === 0 ? "No connection to the server" : "The server failed to answer";
}

interface FailureProps {
  error: ApiError;
  note?: string;
  onRetry?: () => void;
  onDisconnect: () => void;
  /** Where in the question it failed, as a page can show it. */
  children?: ReactNode;
}

/** What failed, in the server's words, and the way out. */
export function Failure({ error, note, onRetry, onDisconnect, children }: FailureProps) {
  const login = useContext(EntryContext)?.who.kind === "login";
  return (
    <Message title={titleOf(error, login)} kind="bad">
      <p>{error.message}</p>
      {error.field !== undefined && (
        <p className="quiet">
          In <code>{error.field}</code>
        </p>
      )}
      {children}
      {note !== undefined && <p className="quiet">{note}</p>}
      {error.refused ? (
        <Button variant="default" size="xs" onClick={onDisconnect}>
          {login ? (error.status === 401 ? "Log in again" : "Open another app") : "Use another key"}
        </Button>
      ) : (
        error.status !== 400 &&
        onRetry !== undefined && (
          <Button variant="default" size="xs" onClick={onRetry}>
            Try again
          </Button>
        )
      )}
    </Message>
  );
}
