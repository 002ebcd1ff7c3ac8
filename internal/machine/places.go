package machine

// variable is an environment variable that says where a tool keeps something.
type variable struct {
	name string
	// below is the part of the directory that it names, "" for all of it.
	below string
	// as is a path by which kinds of files know such a directory.
	as string
}

// variables are those that the tools' own documentation names.
var variables = []variable{
	// docs.npmjs.com/cli/using-npm/config: npm_config_<name> in any case
	{"npm_config_cache", "", "/home/.npm"},
	{"NPM_CONFIG_CACHE", "", "/home/.npm"},
	{"npm_config_prefix", "lib", "/usr/local/lib"},
	{"NPM_CONFIG_PREFIX", "lib", "/usr/local/lib"},
	{"npm_config_store_dir", "", "/home/.local/share/pnpm/store"},
	{"NPM_CONFIG_STORE_DIR", "", "/home/.local/share/pnpm/store"},
	{"PNPM_HOME", "", "/home/.local/share/pnpm"},
	{"YARN_CACHE_FOLDER", "", "/home/.cache/yarn"},
	{"YARN_GLOBAL_FOLDER", "", "/home/.yarn/berry"},
	{"BUN_INSTALL", "", "/home/.bun"},
	{"BUN_INSTALL_CACHE_DIR", "", "/home/.bun/install/cache"},
	{"DENO_DIR", "", "/home/.cache/deno"},
	{"NVM_DIR", "", "/home/.nvm"},
	{"FNM_DIR", "", "/home/.local/share/fnm"},
	{"VOLTA_HOME", "", "/home/.volta"},
	{"COREPACK_HOME", "", "/home/.cache/node/corepack"},
	// pip.pypa.io/en/stable/topics/caching, docs.python.org/3/using/cmdline.html
	{"PIP_CACHE_DIR", "", "/home/.cache/pip"},
	{"PYTHONUSERBASE", "", "/home/.local"},
	{"VIRTUAL_ENV", "", "/home/.virtualenvs/venv"},
	{"WORKON_HOME", "", "/home/.virtualenvs"},
	{"PYENV_ROOT", "", "/home/.pyenv"},
	{"PIPX_HOME", "", "/home/.local/share/pipx"},
	{"UV_CACHE_DIR", "", "/home/.cache/uv"},
	{"UV_TOOL_DIR", "", "/home/.local/share/uv/tools"},
	{"UV_PYTHON_INSTALL_DIR", "", "/home/.local/share/uv/python"},
	{"POETRY_CACHE_DIR", "", "/home/.cache/pypoetry"},
	{"POETRY_HOME", "", "/home/.local/share/pypoetry"},
	{"PDM_CACHE_DIR", "", "/home/.cache/pdm"},
	{"PIPENV_CACHE_DIR", "", "/home/.cache/pipenv"},
	{"CONDA_PKGS_DIRS", "", "/home/.conda/pkgs"},
	{"CONDA_PREFIX", "", "/home/miniconda3/envs/env"},
	{"MAMBA_ROOT_PREFIX", "", "/home/miniconda3"},
	// go.dev/ref/mod#environment-variables
	{"GOMODCACHE", "", "/home/go/pkg/mod"},
	{"GOPATH", "", "/home/go"},
	{"GOBIN", "", "/home/go/bin"},
	// doc.rust-lang.org/cargo/reference/environment-variables.html
	{"CARGO_HOME", "", "/home/.cargo"},
	{"CARGO_INSTALL_ROOT", "", "/home/.cargo"},
	// guides.rubygems.org/command-reference, bundler.io/man/bundle-config.1.html
	{"GEM_HOME", "", "/home/.gem/ruby"},
	{"GEM_PATH", "", "/home/.gem/ruby"},
	{"BUNDLE_PATH", "", "/home/.bundle/vendor"},
	{"BUNDLE_USER_HOME", "", "/home/.bundle"},
	{"BUNDLE_USER_CACHE", "", "/home/.bundle/cache"},
	// getcomposer.org/doc/03-cli.md#environment-variables
	{"COMPOSER_HOME", "", "/home/.config/composer"},
	{"COMPOSER_CACHE_DIR", "", "/home/.cache/composer"},
	// learn.microsoft.com/nuget/consume-packages/managing-the-global-packages-and-cache-folders
	{"NUGET_PACKAGES", "", "/home/.nuget/packages"},
	{"NUGET_FALLBACK_PACKAGES", "", "/home/.nuget/fallback/packages"},
	{"NUGET_HTTP_CACHE_PATH", "", "/home/.local/share/NuGet/http-cache"},
	{"DOTNET_CLI_HOME", "", "/home"},
	// docs.gradle.org/current/userguide/directory_layout.html, get-coursier.io/docs/cache
	{"GRADLE_USER_HOME", "", "/home/.gradle"},
	{"COURSIER_CACHE", "", "/home/.cache/coursier/v1"},
	// docs.brew.sh/Manpage#environment
	{"HOMEBREW_CACHE", "", "/home/.cache/Homebrew"},
	{"HOMEBREW_CELLAR", "", "/usr/local/Cellar"},
	{"HOMEBREW_PREFIX", "", "/opt/homebrew"},
	// dart.dev/tools/pub/environment-variables, hexdocs.pm, guides.cocoapods.org
	{"PUB_CACHE", "", "/home/.pub-cache"},
	{"HEX_HOME", "", "/home/.hex"},
	{"MIX_HOME", "", "/home/.mix"},
	{"CP_HOME_DIR", "", "/home/.cocoapods"},
	{"CONAN_HOME", "", "/home/.conan2"},
	{"STACK_ROOT", "", "/home/.stack"},
	{"CABAL_DIR", "", "/home/.cabal"},
	{"R_LIBS", "", "/usr/lib/R/library"},
	{"R_LIBS_USER", "", "/usr/lib/R/library"},
	{"R_LIBS_SITE", "", "/usr/lib/R/library"},
	// code.visualstudio.com/docs/editor/portable
	{"VSCODE_EXTENSIONS", "", "/home/.vscode/extensions"},
	{"VSCODE_PORTABLE", "extensions", "/home/.vscode/extensions"},
	// specifications.freedesktop.org/basedir-spec
	{"XDG_CACHE_HOME", "", "/home/.cache"},
	{"XDG_DATA_HOME", "", "/home/.local/share"},
	{"XDG_CONFIG_HOME", "", "/home/.config"},
	{"LOCALAPPDATA", "", "/home/AppData/Local"},
	{"APPDATA", "", "/home/AppData/Roaming"},
}

// systemPlaces are where systems and administrators install packages of language ecosystems for everyone.
var systemPlaces = []string{
	"usr/lib/node_modules", "usr/local/lib", "usr/share/nodejs", "usr/local/share", "usr/local/bin",
	"usr/lib/python3", "usr/lib/python3.8", "usr/lib/python3.9", "usr/lib/python3.10", "usr/lib/python3.11",
	"usr/lib/python3.12", "usr/lib/python3.13", "usr/lib/python3.14", "usr/lib64/python3", "usr/lib/ruby", "usr/share/gems",
	"usr/share/rubygems-integration", "usr/local/bundle", "usr/local/go/bin", "usr/share/php", "usr/share/dotnet", "usr/lib/dotnet", "usr/lib/R",
	"usr/share/code", "usr/share/maven-repo", "var/lib/gems", "opt", "srv", "root/.cache", "nix/var/nix/profiles",
	"home/linuxbrew/.linuxbrew", "usr/local/Cellar", "Library/Python", "Library/Ruby", "Library/Frameworks/Python.framework",
	"ProgramData", "Program Files/nodejs", "Program Files/dotnet",
}

// homePlaces are where package managers, version managers and editors keep things in a home, on any
// system; the elements are patterns ([path.Match]).
var homePlaces = []string{
	".npm", ".npm-global", ".npm-packages", ".node_modules", ".pnpm-store", ".pnpm-state", ".yarn", ".yarn-cache", ".bun", ".deno",
	".nvm", ".fnm", ".volta", ".n", "n", ".nodenv", ".asdf", ".proto", ".rtx",
	".cache", ".local", ".config/yarn", ".config/composer", ".config/Code*", ".config/*hrom*", ".config/BraveSoftware", ".config/microsoft-edge*", ".config/vivaldi",
	".pyenv", ".virtualenvs", ".venv*", ".pipx", ".poetry", ".conda", "miniconda*", "anaconda*", "miniforge*", "mambaforge*", "micromamba",
	".gem", ".bundle", ".rbenv", ".rvm", ".chruby", ".rubies", ".cocoapods",
	"go", ".cargo", ".m2", ".gradle", ".ivy2", ".sbt", ".coursier", ".nuget", ".dotnet", ".composer",
	".pub-cache", ".hex", ".mix", ".cache/rebar3", ".stack", ".cabal", ".conan*", ".R", "R",
	".vscode*", ".cursor*", ".windsurf*", ".vscodium*", ".vscode-oss*", ".codeium*", ".trae*", ".kiro*", ".antigravity*", ".positron*", ".theia*",
	".mozilla", ".var/app", "snap",
	"Library/Caches", "Library/pnpm", "Library/Python", "Library/Application Support", "AppData/Local", "AppData/Roaming", "scoop",
	"_work", "actions-runner*", "agent",
}

// excluded are directories, from the root, that show the content of others, by system.
var excluded = map[string][]string{
	// /Users and the rest are on this volume and are met where they belong (firmlinks).
	"darwin": {"System/Volumes", "dev"},
	"linux":  {"proc", "sys", "dev"},
}
