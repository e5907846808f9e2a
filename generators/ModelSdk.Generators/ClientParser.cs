using System.Collections.Immutable;
using ModelSdk.Generators.Model;
using ModelSdk.Manifest;

namespace ModelSdk.Generators;

/// <summary>From texts to what the emitter needs.</summary>
internal static class ClientParser
{
    /// <summary>Parses a manifest; <paramref name="text"/> is null where the compiler could not read the file.</summary>
    public static ParsedManifest ParseManifest(string path, string? text)
    {
        if (text is null) return new ParsedManifest(path, null, new([Unreadable(path, ManifestSeverity.Error)]), null);
        ManifestResult result = ManifestParser.Parse(text, path);
        ModelManifest? manifest = result.Manifest;
        return new ParsedManifest(
            path,
            manifest is null ? null : Client(path, manifest),
            new(result.Diagnostics),
            manifest is null ? null : result.At("name", DiagnosticCodes.DuplicateClient, ManifestSeverity.Error, ""));
    }

    /// <summary>Parses a lock file. The client works without one, so that what is wrong is a warning.</summary>
    public static ParsedLock ParseLock(string path, string? text)
    {
        if (text is null) return new ParsedLock(path, default, new([Unreadable(path, ManifestSeverity.Warning)]));
        ModelLockResult result = ModelLockParser.Parse(text, path);
        return new ParsedLock(
            path,
            result.Lock?.Measured ?? default,
            new(result.Diagnostics.Select(d => d with { Severity = ManifestSeverity.Warning })));
    }

    /// <summary>
    /// Of manifests that generate the same client, or share the bundle's folder, the first by path is kept; the others
    /// are reported.
    /// </summary>
    public static EquatableArray<ParsedManifest> ResolveDuplicates(ImmutableArray<ParsedManifest> manifests)
    {
        var first = new Dictionary<string, ParsedManifest>(StringComparer.OrdinalIgnoreCase);
        var resolved = new List<ParsedManifest>();
        foreach (ParsedManifest manifest in manifests.OrderBy(m => m.Path, StringComparer.Ordinal))
        {
            if (manifest.Client is not { } client)
            {
                resolved.Add(manifest);
            }
            else if (!first.TryGetValue(client.Name, out ParsedManifest? kept))
            {
                first.Add(client.Name, manifest);
                resolved.Add(manifest);
            }
            else if (kept.Path != manifest.Path)
            {
                ManifestDiagnostic duplicate = manifest.Duplicate! with
                {
                    Message = $"The client {client.ClassName} is already generated from '{kept.Path}' (case does not tell two models apart); give this model another \"name\".",
                };
                resolved.Add(manifest with { Client = null, Diagnostics = new([.. manifest.Diagnostics, duplicate]) });
            }
        }

        return new(resolved);
    }

    /// <summary>Each client with the results of its own lock file.</summary>
    public static IEnumerable<ClientSource> Sources(EquatableArray<ParsedManifest> manifests, EquatableArray<ParsedLock> locks, string rootNamespace)
    {
        foreach (ParsedManifest manifest in manifests)
        {
            if (manifest.Client is null) continue;
            string lockPath = ModelLock.PathFor(manifest.Path);
            ParsedLock? parsed = locks.FirstOrDefault(l => l.Path == lockPath);
            yield return new ClientSource(manifest.Client, rootNamespace, parsed?.Measured ?? default);
        }
    }

    private static ClientModel Client(string path, ModelManifest manifest) => new(
        path.Substring(path.LastIndexOfAny(['/', '\\']) + 1),
        manifest.Name,
        manifest.DefaultMode,
        new(manifest.Adapters.Select(a => new ClientAdapter(a.Name, a.Identifier, a.Verifier is not null))),
        manifest.Switcher is not null,
        manifest.Budgets,
        new AnswerSettings { Type = manifest.Answer.Type, Choices = manifest.Answer.Choices });

    private static ManifestDiagnostic Unreadable(string path, ManifestSeverity severity) =>
        new(DiagnosticCodes.FileUnreadable, severity, "The C# compiler cannot read this file as text; check its encoding (UTF-8) and permissions.", path, 1, 1, 1, 1);
}
