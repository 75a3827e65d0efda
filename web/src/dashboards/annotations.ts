import { createContext } from "react";

import type { Annotation } from "./board.ts";

/** What is marked on every chart over time of a dashboard. */
export const AnnotationsContext = createContext<readonly Annotation[]>([]);
