namespace MathTutor.Recipe.World;

/// <summary>The canonical forms of validation and test problems: nothing that anything is trained on may contain one.</summary>
internal sealed class HeldOut
{
    private readonly HashSet<string> _forms = [];

    /// <summary>Takes the problem out, unless it is out already.</summary>
    public bool Reserve(Story story, string asked) => _forms.Add(story.Canonical(asked));

    /// <summary>True if the story contains a reserved problem, the one asked about or one that could be asked about any other person.</summary>
    public bool Contains(Story story) => story.Quantities.Any(q => _forms.Contains(story.Canonical(q.Person)));
}
