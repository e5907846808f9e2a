using ModelSdk.Manifest;

namespace ModelSdk.Generators.Model;

/// <summary>
/// What a client's source depends on, and nothing else: training settings, files and positions are left out, so that
/// editing them generates nothing anew. Equal by value; holds no Roslyn object.
/// </summary>
/// <param name="ManifestFile">The manifest's file name without folders, for comments.</param>
/// <param name="Name">The model's name in PascalCase.</param>
/// <param name="DefaultMode">The mode used when the caller names none.</param>
/// <param name="Adapters">The reasoning modes.</param>
/// <param name="HasSwitcher">Whether a switcher can choose the mode.</param>
/// <param name="Budgets">The named budgets.</param>
/// <param name="Answer">The type of an answer.</param>
internal sealed record ClientModel(
    string ManifestFile,
    string Name,
    string DefaultMode,
    EquatableArray<ClientAdapter> Adapters,
    bool HasSwitcher,
    EquatableArray<BudgetSettings> Budgets,
    AnswerSettings Answer)
{
    public string ClassName => Name + "Model";
}

/// <summary>A reasoning mode, the C# member that stands for it, and whether a verifier judges its answers.</summary>
internal sealed record ClientAdapter(string Name, string Identifier, bool HasVerifier);
