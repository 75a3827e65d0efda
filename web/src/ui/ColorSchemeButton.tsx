import { ActionIcon, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";

import { MoonIcon, SunIcon } from "./icons.tsx";

/** Light or dark: the system's choice until one chooses. */
export function ColorSchemeButton() {
  // The library would switch transitions off with a style element, which the content security policy does not allow.
  const { setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const scheme = useComputedColorScheme("light");
  const next = scheme === "light" ? "dark" : "light";
  return (
    <Tooltip label={`Use ${next} colours`} withArrow={false}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size={32}
        aria-label={`Use ${next} colours`}
        onClick={() => {
          setColorScheme(next);
        }}
      >
        {scheme === "light" ? <MoonIcon /> : <SunIcon />}
      </ActionIcon>
    </Tooltip>
  );
}
