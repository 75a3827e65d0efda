import type { Session } from "../session.ts";
import type { ErrorForm } from "./types.ts";

/** What a call failed with: the API's own words where it had any. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field?: string,
  ) {
    super(message);
  }
}

/** Path of an analytics call of the session's app. */
export function analyticsPath(session: Session, call: string): string {
  return `/api/v1/analytics/${encodeURIComponent(session.app)}/${call}`;
}

/** GET, or POST when there is a body. */
export async function ask<T>(session: Session, call: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await fetch(analyticsPath(session, call), {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization: `Bearer ${session.key}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (!response.ok) throw await errorOf(response);
  return (await response.json()) as T;
}

/** Reads the error form, or makes one of an answer that has none (a proxy's page). */
export async function errorOf(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  if (isErrorForm(body)) return new ApiError(response.status, body.error.code, body.error.message, body.error.field);
  return new ApiError(response.status, "unexpected_answer", `The server answered ${response.status} ${response.statusText}.`);
}

function isErrorForm(body: unknown): body is ErrorForm {
  return typeof body === "object" && body !== null && "error" in body && typeof body.error === "object" && body.error !== null && "message" in body.error;
}
