using ModelSdk.Training;

namespace ModelSdk.Compiler.Evaluation.Graders;

/// <summary>Says how right answers are. Training rewards and evaluation counts with the same one.</summary>
internal interface IGrader
{
    /// <summary>Scores answers.</summary>
    /// <param name="answers">Any number of answers.</param>
    /// <param name="cancellationToken">Stops a program that grades.</param>
    /// <returns>A score from 0 to 1 for each answer, in their order.</returns>
    /// <exception cref="CompilerException">MDL3030: the manifest's program failed.</exception>
    IReadOnlyList<double> Grade(IReadOnlyList<GradedAnswer> answers, CancellationToken cancellationToken);
}
